//! The audit: what was done, whether the record of it is whole, and a person's own view of who saw them.

use actix_web::web::{Data, Path, ThinData};
use actix_web::{HttpResponse, get};
use chrono::{DateTime, Utc};
use common::PrincipalKind;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;
use web::{
    Allowed, Caller, CursorKey, Identifier, NOBODY_ELSE, Page, Paging, Params, Query, ReadQuery, read,
};

use crate::error::Error;
use crate::ops::verify_audit::{Against, Report, verify as hold_against_seals};
use crate::state::State;
use crate::store::audit::{self, Event};

const AUDIT: Allowed = Allowed(&[PrincipalKind::Auditor]);
const OWN: Allowed = Allowed(&[PrincipalKind::Client, PrincipalKind::App]);

const MAX_WORD_BYTES: usize = 128;
/// Seals that one request looks at.
const MAX_VERIFIED_SEALS: i64 = 1_000;
const DECISIONS: &[&str] = &["allow", "deny"];
const ACTOR_KINDS: &[&str] = &[
    "client", "staff", "app", "pipeline", "service", "clerk", "operator", "anybody",
];
/// Cursors of this list.
const LIST_NAME: &str = "audit events";

/// What was done. People are named by references that mean something only while their account exists.
#[derive(Serialize, ToSchema)]
struct EventView {
    id: i64,
    at: DateTime<Utc>,
    /// read, write, or a word of its own.
    event_type: String,
    /// The reference of a person, or the id of a program.
    actor: String,
    actor_kind: String,
    /// The account of staff, or the program.
    actor_id: Option<String>,
    actor_name: Option<String>,
    /// References of the people it was about.
    subject_refs: Vec<Uuid>,
    /// Method and route.
    #[schema(example = "GET /v1/users/{user_id}/messages")]
    action: String,
    object_type: Option<String>,
    object_id: Option<String>,
    /// allow or deny.
    decision: String,
    reason: Option<String>,
    /// What gave the right: self, on_behalf, machine, caseload, escalation and so on.
    purpose: Option<String>,
    request_id: Option<String>,
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
}

impl From<Event> for EventView {
    fn from(found: Event) -> Self {
        Self {
            id: found.id,
            at: found.at,
            event_type: found.event_type,
            actor: found.actor,
            actor_kind: found.actor_kind,
            actor_id: found.actor_id,
            actor_name: found.actor_name,
            subject_refs: found.subject_refs,
            action: found.action,
            object_type: found.object_type,
            object_id: found.object_id,
            decision: found.decision,
            reason: found.reason,
            purpose: found.purpose,
            request_id: found.request_id,
            metadata: found.metadata,
        }
    }
}

/// Which rows are asked for.
struct ListQuery {
    event_type: Option<String>,
    decision: Option<&'static str>,
    actor_kind: Option<&'static str>,
    request_id: Option<String>,
    user_id: Option<String>,
    from: Option<DateTime<Utc>>,
    before: Option<DateTime<Utc>>,
    paging: Paging,
}

impl ReadQuery for ListQuery {
    fn read(params: &mut Params) -> Option<Self> {
        let event_type = params.optional("event_type", read::text(1..=MAX_WORD_BYTES));
        let decision = params.optional("decision", read::one_of(DECISIONS));
        let actor_kind = params.optional("actor_kind", read::one_of(ACTOR_KINDS));
        let request_id = params.optional("request_id", read::text(1..=MAX_WORD_BYTES));
        let user_id = params.optional("user_id", read::identifier);
        let from = params.optional("from", read::moment);
        let before = params.optional("before", read::moment);
        let paging = Paging::read(params);
        Some(Self {
            event_type: event_type?,
            decision: decision?,
            actor_kind: actor_kind?,
            request_id: request_id?,
            user_id: user_id?,
            from: from?,
            before: before?,
            paging: paging?,
        })
    }
}

/// What was done, newest first.
#[utoipa::path(
    tag = "audit",
    params(
        ("event_type" = Option<String>, Query),
        ("decision" = Option<String>, Query, description = "allow or deny"),
        ("actor_kind" = Option<String>, Query),
        ("request_id" = Option<String>, Query),
        ("user_id" = Option<String>, Query, description = "Rows about this person"),
        ("from" = Option<String>, Query, description = "Not older than this time"),
        ("before" = Option<String>, Query, description = "Older than this time"),
        ("limit" = Option<i64>, Query),
        ("cursor" = Option<String>, Query)
    ),
    responses((status = 200, body = Page<EventView>)),
    extensions(("x-principals" = json!(AUDIT)))
)]
#[get("/v1/audit-events")]
pub(crate) async fn list(
    state: Data<State>,
    Query(query): Query<ListQuery>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&AUDIT)?;
    let before: i64 = cursors
        .open(LIST_NAME, &caller, &query.paging)?
        .unwrap_or(i64::MAX);
    let params: db::Params<'_> = &[
        &query.event_type,
        &query.decision,
        &query.actor_kind,
        &query.request_id,
        &query.user_id,
        &query.from,
        &query.before,
        &before,
        &(query.paging.limit + 1),
    ];
    let sql = audit::list_sql(query.user_id.is_some());
    let rows = state.db.worker_query(&sql, params).await?;
    let items = rows
        .iter()
        .map(|row| Ok(audit::from_row(row)?.into()))
        .collect::<Result<Vec<EventView>, db::Error>>()?;
    let page = Page::cut(items, query.paging.limit, |last| {
        cursors.seal(LIST_NAME, &caller, &query.paging, &last.id)
    });
    Ok(caller.disclose(query.user_id, &page).await?)
}

/// Which stretch of the chain is looked at.
struct VerifyQuery {
    after: i64,
}

impl ReadQuery for VerifyQuery {
    fn read(params: &mut Params) -> Option<Self> {
        Some(Self {
            after: params.integer("after", 0..=i64::MAX)?.unwrap_or(0),
        })
    }
}

/// Hold up to 1,000 seals against the rows they cover, and against their copy outside Postgres.
#[utoipa::path(
    tag = "audit",
    params(("after" = Option<i64>, Query, description = "The last seal that was looked at; from the first by default")),
    responses((status = 200, body = Report)),
    extensions(("x-principals" = json!(AUDIT)))
)]
#[get("/v1/audit-events/verify")]
pub(crate) async fn verify(
    state: Data<State>,
    Query(query): Query<VerifyQuery>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&AUDIT)?;
    let against = Against {
        anchor: &state.anchor,
        key: &state.seal_key,
        now: Utc::now(),
    };
    let report = hold_against_seals(&state.db, against, query.after, MAX_VERIFIED_SEALS).await?;
    Ok(caller.disclose(NOBODY_ELSE, &report).await?)
}

/// Somebody who did something about a person.
#[derive(Serialize, ToSchema)]
struct AccessView {
    #[serde(skip)]
    id: i64,
    at: DateTime<Utc>,
    /// client, staff, app, pipeline or service; clerk, operator, or anybody who has not shown who they are.
    who: String,
    /// What the programme calls them; null for the person's own access and for accounts that are gone.
    name: Option<String>,
    /// Method and route.
    #[schema(example = "GET /v1/users/{user_id}/messages")]
    what: String,
    object_type: Option<String>,
    object_id: Option<String>,
    /// What gave the right: self, on_behalf, machine, caseload, escalation and so on.
    why: Option<String>,
    /// allow or deny.
    decision: String,
}

impl From<Event> for AccessView {
    fn from(found: Event) -> Self {
        Self {
            id: found.id,
            at: found.at,
            who: found.actor_kind,
            name: found.actor_name,
            what: found.action,
            object_type: found.object_type,
            object_id: found.object_id,
            why: found.purpose,
            decision: found.decision,
        }
    }
}

/// Whose access is asked for.
struct AccessQuery {
    who: Option<&'static str>,
    paging: Paging,
}

impl ReadQuery for AccessQuery {
    fn read(params: &mut Params) -> Option<Self> {
        let who = params.optional("who", read::one_of(ACTOR_KINDS));
        let paging = Paging::read(params);
        Some(Self {
            who: who?,
            paging: paging?,
        })
    }
}

/// Who saw or changed what about the person, when and by what right, newest first.
#[utoipa::path(
    tag = "audit",
    params(
        ("user_id" = String, Path),
        ("who" = Option<String>, Query, description = "client, staff, app, pipeline, service, clerk, operator or anybody"),
        ("limit" = Option<i64>, Query),
        ("cursor" = Option<String>, Query)
    ),
    responses((status = 200, body = Page<AccessView>)),
    extensions(("x-principals" = json!(OWN)))
)]
#[get("/v1/users/{user_id}/access-log")]
pub(crate) async fn access_log(
    state: Data<State>,
    user_id: Path<Identifier>,
    Query(query): Query<AccessQuery>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&OWN)?;
    let listed = format!("access log of {}", *user_id);
    let before: i64 = cursors.open(&listed, &caller, &query.paging)?.unwrap_or(i64::MAX);
    super::users::must_see(&state, &caller, &user_id).await?;
    let nothing = None::<&str>;
    let always = None::<DateTime<Utc>>;
    let limit = query.paging.limit + 1;
    let params: db::Params<'_> = &[
        &nothing,
        &nothing,
        &query.who,
        &nothing,
        &&**user_id,
        &always,
        &always,
        &before,
        &limit,
    ];
    let rows = state.db.worker_query(&audit::list_sql(true), params).await?;
    let items = rows
        .iter()
        .map(|row| Ok(audit::from_row(row)?.into()))
        .collect::<Result<Vec<AccessView>, db::Error>>()?;
    let page = Page::cut(items, query.paging.limit, |last| {
        cursors.seal(&listed, &caller, &query.paging, &last.id)
    });
    Ok(caller.disclose(NOBODY_ELSE, &page).await?)
}
