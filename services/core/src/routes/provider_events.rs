//! How calls of providers went, told by the programs that made them.

use actix_web::http::StatusCode;
use actix_web::web::{Data, ThinData};
use actix_web::{HttpResponse, get, post};
use chrono::{DateTime, Utc};
use common::PrincipalKind;
use db::Tx;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use web::{
    Allowed, Answer, Caller, CursorKey, Fields, Granted, Holder, Newest, Page, Paging, Params, Query, Read,
    ReadQuery, Write, read,
};

use crate::domain::provider::{NewProviderEvent, STATUSES};
use crate::error::Error;
use crate::state::State;
use crate::store::provider_events::{self, ProviderEvent, Stored};

pub(super) const TELL: Allowed = Allowed(&[PrincipalKind::App, PrincipalKind::Pipeline]);
pub(super) const READ: Allowed = Allowed(&[PrincipalKind::Admin]);

pub(super) const MAX_METADATA_BYTES: usize = 16 * 1024;
pub(super) const MAX_NAME_BYTES: usize = 100;
pub(super) const MAX_REQUEST_ID_BYTES: usize = 128;
const MAX_SCOPE_BYTES: usize = 50;
const MAX_REASON_BYTES: usize = 500;
/// Cursors of this list.
const LIST_NAME: &str = "provider events";

/// How a call went.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "describes the body; NewProviderEvent is what it is read into"
)]
struct ProviderEventBody {
    /// For whom it was called; by default whom the app acts for, or nobody in particular.
    user_id: Option<String>,
    /// What it was called for.
    #[schema(max_length = 50, example = "chat")]
    scope: String,
    #[schema(max_length = 100)]
    provider_name: String,
    #[schema(max_length = 100)]
    runtime: Option<String>,
    /// success, degraded, failed or fallback.
    #[schema(example = "success")]
    status: String,
    /// Why another one had to answer, in a few words that name nobody: admins see them.
    #[schema(max_length = 500, example = "timeout")]
    fallback_reason: Option<String>,
    /// Up to 16 KiB as JSON; not shown again but to the person.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
    /// The request that led to the call.
    #[schema(max_length = 128)]
    request_id: Option<String>,
}

impl Read for NewProviderEvent {
    const MAX_BODY_BYTES: usize = 64 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let user_id = fields.optional("user_id", read::identifier);
        let scope = fields.required("scope", read::text(1..=MAX_SCOPE_BYTES));
        let provider_name = fields.required("provider_name", read::text(1..=MAX_NAME_BYTES));
        let runtime = fields.optional("runtime", read::text(1..=MAX_NAME_BYTES));
        let status = fields.required("status", read::one_of(STATUSES));
        let fallback_reason = fields.optional("fallback_reason", read::text(1..=MAX_REASON_BYTES));
        let metadata = fields.optional("metadata", read::object(MAX_METADATA_BYTES));
        let request_id = fields.optional("request_id", read::text(1..=MAX_REQUEST_ID_BYTES));
        Some(Self {
            user_id: user_id?,
            scope: scope?,
            provider_name: provider_name?,
            runtime: runtime?,
            status: status?,
            fallback_reason: fallback_reason?,
            metadata: metadata?,
            request_id: request_id?,
        })
    }
}

/// A stored event; what was told is not sent back.
#[derive(Serialize, ToSchema)]
pub(super) struct StoredEvent {
    id: i64,
    created_at: DateTime<Utc>,
}

impl From<Stored> for StoredEvent {
    fn from(stored: Stored) -> Self {
        Self {
            id: stored.id,
            created_at: stored.created_at,
        }
    }
}

/// Tell how a call of a provider went.
#[utoipa::path(
    tag = "provider events",
    request_body = ProviderEventBody,
    responses((status = 201, body = StoredEvent)),
    extensions(("x-principals" = json!(TELL)))
)]
#[post("/v1/provider-events")]
pub(crate) async fn tell(
    state: Data<State>,
    request: Write<NewProviderEvent>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&TELL)?;
    let event = NewProviderEvent {
        user_id: body.user_id.or_else(|| caller.on_behalf_of.clone()),
        ..body
    };
    let tx = begin(&state, &caller, event.user_id.as_deref()).await?;
    web::write(tx, &caller, key, async |tx| {
        let stored = provider_events::insert(tx, &event)
            .await?
            .ok_or(Error::NotFound)?;
        Ok(Answer::json(StatusCode::CREATED, &StoredEvent::from(stored))?.about(event.user_id.clone()))
    })
    .await
}

/// A transaction in which a program tells of a client, or of nobody in particular, whom no person sees. Pipelines act for
/// nobody: they tell of every client.
pub(super) async fn begin(state: &State, caller: &Caller, about: Option<&str>) -> Result<Tx, Error> {
    match (caller.principal.holder, about) {
        (Holder::App, Some(client)) => Ok(state.db.begin(&caller.actor_for(client)?).await?),
        (Holder::App | Holder::Pipeline | Holder::Client | Holder::Staff | Holder::Service, _) => {
            Ok(state.db.begin_worker().await?)
        }
    }
}

/// Which events are asked for.
pub(super) struct ListQuery {
    pub(super) request_id: Option<String>,
    pub(super) user_id: Option<String>,
    pub(super) from: DateTime<Utc>,
    pub(super) until: DateTime<Utc>,
    pub(super) paging: Paging,
}

impl ReadQuery for ListQuery {
    fn read(params: &mut Params) -> Option<Self> {
        let request_id = params.optional("request_id", read::text(1..=MAX_REQUEST_ID_BYTES));
        let user_id = params.optional("user_id", read::identifier);
        let from = params.optional("from", read::moment);
        let until = params.optional("until", read::moment);
        let paging = Paging::read(params);
        Some(Self {
            request_id: request_id?,
            user_id: user_id?,
            from: from?.unwrap_or(DateTime::<Utc>::UNIX_EPOCH),
            until: until?.unwrap_or(DateTime::<Utc>::MAX_UTC),
            paging: paging?,
        })
    }
}

/// How a call went, without the metadata, which may say what it was about.
#[derive(Serialize, ToSchema)]
struct ProviderEventView {
    id: i64,
    user_id: Option<String>,
    scope: String,
    provider_name: String,
    runtime: Option<String>,
    /// success, degraded, failed or fallback.
    status: String,
    fallback_reason: Option<String>,
    request_id: Option<String>,
    created_at: DateTime<Utc>,
}

impl From<ProviderEvent> for ProviderEventView {
    fn from(found: ProviderEvent) -> Self {
        Self {
            id: found.id,
            user_id: found.user_id,
            scope: found.scope,
            provider_name: found.provider_name,
            runtime: found.runtime,
            status: found.status,
            fallback_reason: found.fallback_reason,
            request_id: found.request_id,
            created_at: found.created_at,
        }
    }
}

/// How calls of providers went, newest first.
#[utoipa::path(
    tag = "provider events",
    params(
        ("request_id" = Option<String>, Query),
        ("user_id" = Option<String>, Query),
        ("from" = Option<DateTime<Utc>>, Query),
        ("until" = Option<DateTime<Utc>>, Query, description = "Not included"),
        ("limit" = Option<i64>, Query),
        ("cursor" = Option<String>, Query)
    ),
    responses((status = 200, body = Page<ProviderEventView>)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/provider-events")]
pub(crate) async fn list(
    state: Data<State>,
    Query(query): Query<ListQuery>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let after: Option<Newest> = cursors.open(LIST_NAME, &caller, &query.paging)?;
    let sql = provider_events::list_sql(query.request_id.is_some(), query.user_id.is_some());
    let rows = rows(&state, &sql, &query, after.unwrap_or_default()).await?;
    let found = rows
        .iter()
        .map(provider_events::from_row)
        .collect::<Result<Vec<_>, _>>()?;
    let items = found.into_iter().map(ProviderEventView::from).collect();
    let page = Page::cut(items, query.paging.limit, |last: &ProviderEventView| {
        cursors.seal(
            LIST_NAME,
            &caller,
            &query.paging,
            &Newest(last.created_at, last.id),
        )
    });
    let people: Vec<String> = page
        .items
        .iter()
        .filter_map(|item| item.user_id.clone())
        .collect();
    Ok(caller.disclose(people, &page).await?)
}

/// The rows of a list of events and one more. The statement is one of `store::provider_events` or `store::voice_events`.
pub(super) async fn rows(
    state: &State,
    sql: &str,
    query: &ListQuery,
    Newest(at, id): Newest,
) -> Result<Vec<db::Row>, Error> {
    let limit = query.paging.limit + 1;
    let params: db::Params<'_> = &[
        &query.request_id,
        &query.user_id,
        &query.from,
        &query.until,
        &at,
        &id,
        &limit,
    ];
    Ok(state.db.worker_query(sql, params).await?)
}
