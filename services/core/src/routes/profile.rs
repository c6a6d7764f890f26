//! What is durably known of a client, by key. What is sensitive, staff do not see.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path, ThinData};
use actix_web::{HttpResponse, delete, get, put};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use web::{
    Answer, Caller, CursorKey, Fields, Granted, Holder, Identifier, NOBODY_ELSE, Page, Paging, Query, Read,
    Write, read,
};

use super::preferences::{READ, WRITE};
use crate::domain::profile::NewEntry;
use crate::error::Error;
use crate::state::State;
use crate::store::user_profiles::{self, Entry};

const MAX_VALUE_BYTES: usize = 8_192;
const MAX_SOURCE_BYTES: usize = 100;
const MAX_METADATA_BYTES: usize = 16 * 1024;

/// Whose profile, and what of it.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct Place {
    #[param(value_type = String)]
    user_id: Identifier,
    #[param(value_type = String)]
    key: Identifier,
}

/// What is known under a key.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; NewEntry is what it is read into")]
struct EntryBody {
    /// 1 to 8,192 bytes.
    profile_value: String,
    /// Whether it is for the client and the app only; by default false.
    is_sensitive: Option<bool>,
    /// Where it comes from.
    #[schema(max_length = 100, example = "onboarding")]
    source: Option<String>,
    /// Up to 16 KiB as JSON.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
}

impl Read for NewEntry {
    const MAX_BODY_BYTES: usize = 128 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let profile_value = fields.required("profile_value", read::long_text(1..=MAX_VALUE_BYTES));
        let is_sensitive = fields.optional("is_sensitive", read::boolean);
        let source = fields.optional("source", read::text(1..=MAX_SOURCE_BYTES));
        let metadata = fields.optional("metadata", read::object(MAX_METADATA_BYTES));
        Some(Self {
            profile_value: profile_value?,
            is_sensitive: is_sensitive?.unwrap_or_default(),
            source: source?,
            metadata: metadata?,
        })
    }
}

/// An entry of a profile.
#[derive(Serialize, ToSchema)]
struct EntryView {
    profile_key: String,
    profile_value: String,
    is_sensitive: bool,
    source: Option<String>,
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<Entry> for EntryView {
    fn from(found: Entry) -> Self {
        Self {
            profile_key: found.profile_key,
            profile_value: found.content.profile_value,
            is_sensitive: found.content.is_sensitive,
            source: found.content.source,
            metadata: found.content.metadata,
            created_at: found.created_at,
            updated_at: found.updated_at,
        }
    }
}

/// An entry that was written; neither its key nor its value is sent back: answers are kept as well, and longer than what is
/// forgotten.
#[derive(Serialize, ToSchema)]
struct KeptEntry {
    is_sensitive: bool,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<Entry> for KeptEntry {
    fn from(kept: Entry) -> Self {
        Self {
            is_sensitive: kept.content.is_sensitive,
            created_at: kept.created_at,
            updated_at: kept.updated_at,
        }
    }
}

/// Staff see no sensitive entry, nor that it is there: a key alone may tell what it is about.
fn sees_sensitive(caller: &Caller) -> bool {
    caller.principal.holder != Holder::Staff
}

/// Write what is known under a key, in place of what was. It is not sent back.
#[utoipa::path(
    tag = "profile",
    params(Place),
    request_body = EntryBody,
    responses((status = 201, body = KeptEntry), (status = 200, description = "The key was there", body = KeptEntry)),
    extensions(("x-principals" = json!(WRITE)))
)]
#[put("/v1/users/{user_id}/profile/{key}")]
pub(crate) async fn put(
    state: Data<State>,
    path: Path<Place>,
    request: Write<NewEntry>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&WRITE)?;
    let tx = state.db.begin(&caller.actor_for(&path.user_id)?).await?;
    web::write(tx, &caller, key, async |tx| {
        let written = user_profiles::put(tx, &path.user_id, &path.key, &body).await?;
        let (entry, is_new) = written.ok_or(Error::NotFound)?;
        let status = if is_new {
            StatusCode::CREATED
        } else {
            StatusCode::OK
        };
        Ok(Answer::json(status, &KeptEntry::from(entry))?)
    })
    .await
}

/// Forget a key.
#[utoipa::path(
    tag = "profile",
    params(Place),
    responses((status = 204, description = "It is forgotten")),
    extensions(("x-principals" = json!(WRITE)))
)]
#[delete("/v1/users/{user_id}/profile/{key}")]
pub(crate) async fn forget(
    state: Data<State>,
    path: Path<Place>,
    request: Write<()>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, key, .. } = request.allow(&WRITE)?;
    let tx = state.db.begin(&caller.actor_for(&path.user_id)?).await?;
    web::write(tx, &caller, key, async |tx| {
        if user_profiles::delete(tx, &path.user_id, &path.key).await? {
            Ok(Answer::no_content())
        } else {
            Err(Error::NotFound)
        }
    })
    .await
}

/// What is known under a key.
#[utoipa::path(
    tag = "profile",
    params(Place),
    responses((status = 200, body = EntryView)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/users/{user_id}/profile/{key}")]
pub(crate) async fn find(
    state: Data<State>,
    path: Path<Place>,
    _: Query<()>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let actor = caller.actor_for(&path.user_id)?;
    let params: db::Params<'_> = &[&&*path.user_id, &&*path.key, &sees_sensitive(&caller)];
    let rows = state.db.read(&actor, user_profiles::FIND, params).await?;
    let entry = user_profiles::from_row(rows.first().ok_or(Error::NotFound)?)?;
    Ok(caller.disclose(NOBODY_ELSE, &EntryView::from(entry)).await?)
}

/// A client's profile, by key.
#[utoipa::path(
    tag = "profile",
    params(
        ("user_id" = String, Path),
        ("limit" = Option<i64>, Query),
        ("cursor" = Option<String>, Query)
    ),
    responses((status = 200, body = Page<EntryView>)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/users/{user_id}/profile")]
pub(crate) async fn list(
    state: Data<State>,
    user_id: Path<Identifier>,
    Query(paging): Query<Paging>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let list = format!("profile of {}", *user_id);
    let after: String = cursors.open(&list, &caller, &paging)?.unwrap_or_default();
    let (sees_sensitive, limit) = (sees_sensitive(&caller), paging.limit + 1);
    let params: db::Params<'_> = &[&&**user_id, &sees_sensitive, &after, &limit];
    let actor = caller.actor_for(&user_id)?;
    let rows = state.db.read(&actor, user_profiles::LIST, params).await?;
    let found = user_profiles::listed(&rows)?.ok_or(Error::NotFound)?;
    let items = found.into_iter().map(EntryView::from).collect();
    let page = Page::cut(items, paging.limit, |last: &EntryView| {
        cursors.seal(&list, &caller, &paging, &last.profile_key)
    });
    Ok(caller.disclose(NOBODY_ELSE, &page).await?)
}
