//! Conversations of a client with a companion.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path, ThinData};
use actix_web::{HttpResponse, delete, get, put};
use chrono::{DateTime, Utc};
use common::PrincipalKind;
use db::Tx;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use web::{
    Allowed, Answer, Caller, CursorKey, Fields, Granted, Identifier, NOBODY_ELSE, Page, Paging, Params,
    Query, Read, ReadQuery, Write, read,
};

use crate::domain::thread::MAX_TITLE_CHARS;
use crate::error::Error;
use crate::ops::tell_deleted::{Deleted, tell_deleted};
use crate::state::State;
use crate::store::threads::{self, Thread};
use crate::store::users;

pub(super) const WRITE: Allowed = Allowed(&[PrincipalKind::Client, PrincipalKind::App]);
pub(super) const READ: Allowed = Allowed(&[
    PrincipalKind::Client,
    PrincipalKind::App,
    PrincipalKind::Counselor,
    PrincipalKind::Supervisor,
]);

/// A character may take four bytes.
const MAX_TITLE_BYTES: usize = 4 * MAX_TITLE_CHARS;

/// Whose thread, with the companion in which role, and which.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct Place {
    #[param(value_type = String)]
    pub(super) user_id: Identifier,
    #[param(value_type = String)]
    pub(super) role: Identifier,
    #[param(value_type = String)]
    pub(super) thread_id: Identifier,
}

impl Place {
    pub(super) fn named(&self) -> threads::Place<'_> {
        threads::Place {
            user_id: &self.user_id,
            role: &self.role,
            thread_id: &self.thread_id,
        }
    }
}

/// A thread's title.
#[derive(ToSchema)]
pub(super) struct ThreadBody {
    /// 1 to 255 characters; without it one that is there keeps its title, and a new one is called by its first turn.
    title: Option<String>,
}

impl Read for ThreadBody {
    const MAX_BODY_BYTES: usize = 8 * 1024;
    const MAY_BE_ABSENT: bool = true;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let title = |value: &web::Value| {
            let text = read::text(1..=MAX_TITLE_BYTES)(value)?;
            let fits = text.chars().count() <= MAX_TITLE_CHARS;
            fits.then_some(text)
                .ok_or_else(|| web::Fault::new("has more than 255 characters"))
        };
        Some(Self {
            title: fields.optional("title", title)?,
        })
    }
}

/// A thread.
#[derive(Serialize, ToSchema)]
pub(super) struct ThreadView {
    #[serde(skip)]
    id: Uuid,
    user_id: String,
    role: String,
    thread_id: String,
    /// Empty until the first turn of a thread that was made without one.
    title: String,
    created_at: DateTime<Utc>,
    /// When something was said in it last, or it was renamed.
    updated_at: DateTime<Utc>,
}

impl From<Thread> for ThreadView {
    fn from(found: Thread) -> Self {
        Self {
            id: found.id,
            user_id: found.user_id,
            role: found.role,
            thread_id: found.thread_id,
            title: found.title,
            created_at: found.created_at,
            updated_at: found.updated_at,
        }
    }
}

/// A thread that was made or renamed; its title is not sent back: answers are kept as well, and longer than what is deleted.
#[derive(Serialize, ToSchema)]
struct MadeThread {
    user_id: String,
    role: String,
    thread_id: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<Thread> for MadeThread {
    fn from(made: Thread) -> Self {
        Self {
            user_id: made.user_id,
            role: made.role,
            thread_id: made.thread_id,
            created_at: made.created_at,
            updated_at: made.updated_at,
        }
    }
}

/// Make a thread, or rename it. The title is not sent back.
#[utoipa::path(
    tag = "threads",
    params(Place),
    request_body = ThreadBody,
    responses(
        (status = 201, description = "It is made", body = MadeThread),
        (status = 200, description = "It was there", body = MadeThread)
    ),
    extensions(("x-principals" = json!(WRITE)))
)]
#[put("/v1/threads/{user_id}/{role}/{thread_id}")]
pub(crate) async fn put_thread(
    state: Data<State>,
    path: Path<Place>,
    request: Write<ThreadBody>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&WRITE)?;
    let tx = state.db.begin(&caller.actor_for(&path.user_id)?).await?;
    web::write(tx, &caller, key, async |tx| {
        lock_client(tx, &path).await?;
        let (thread, is_new) = threads::put(tx, path.named(), body.title.as_deref()).await?;
        let status = if is_new {
            StatusCode::CREATED
        } else {
            StatusCode::OK
        };
        Ok(Answer::json(status, &MadeThread::from(thread))?)
    })
    .await
}

/// Locks the client before the thread, as whoever writes messages does: they would wait for each other.
async fn lock_client(tx: &Tx, path: &Place) -> Result<(), Error> {
    let locked = users::lock_clients(tx, &[&path.user_id]).await?;
    if locked.is_empty() {
        return Err(Error::NotFound);
    }
    Ok(())
}

/// One thread.
#[utoipa::path(
    tag = "threads",
    params(Place),
    responses((status = 200, body = ThreadView)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/threads/{user_id}/{role}/{thread_id}")]
pub(crate) async fn find(
    state: Data<State>,
    path: Path<Place>,
    _: Query<()>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let thread = must_find(&state, &caller, &path).await?;
    Ok(caller.disclose(NOBODY_ELSE, &ThreadView::from(thread)).await?)
}

/// A thread that the caller sees.
pub(super) async fn must_find(state: &State, caller: &Caller, path: &Place) -> Result<Thread, Error> {
    let params: db::Params<'_> = &[&&*path.user_id, &&*path.role, &&*path.thread_id];
    let actor = caller.actor_for(&path.user_id)?;
    let rows = state.db.read(&actor, &threads::find_sql(), params).await?;
    Ok(threads::from_row(rows.first().ok_or(Error::NotFound)?)?)
}

/// Which of a client's threads are asked for.
struct ListQuery {
    role: Option<String>,
    paging: Paging,
}

impl ReadQuery for ListQuery {
    fn read(params: &mut Params) -> Option<Self> {
        let role = params.optional("role", read::identifier);
        let paging = Paging::read(params);
        Some(Self {
            role: role?,
            paging: paging?,
        })
    }
}

/// A client's threads, the last active first.
#[utoipa::path(
    tag = "threads",
    params(
        ("user_id" = String, Path),
        ("role" = Option<String>, Query),
        ("limit" = Option<i64>, Query),
        ("cursor" = Option<String>, Query)
    ),
    responses((status = 200, body = Page<ThreadView>)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/users/{user_id}/threads")]
pub(crate) async fn list(
    state: Data<State>,
    user_id: Path<Identifier>,
    Query(query): Query<ListQuery>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let list = format!("threads of {}", *user_id);
    let after: Option<(DateTime<Utc>, Uuid)> = cursors.open(&list, &caller, &query.paging)?;
    let (at, id) = after.unwrap_or((DateTime::<Utc>::MAX_UTC, Uuid::max()));
    let limit = query.paging.limit + 1;
    let params: db::Params<'_> = &[&&**user_id, &query.role, &at, &id, &limit];
    let actor = caller.actor_for(&user_id)?;
    let rows = state.db.read(&actor, &threads::list_sql(), params).await?;
    let found = threads::listed(&rows)?.ok_or(Error::NotFound)?;
    let items = found.into_iter().map(ThreadView::from).collect();
    let page = Page::cut(items, query.paging.limit, |last: &ThreadView| {
        cursors.seal(&list, &caller, &query.paging, &(last.updated_at, last.id))
    });
    Ok(caller.disclose(NOBODY_ELSE, &page).await?)
}

/// Delete a thread with its messages, and what was computed from them.
#[utoipa::path(
    tag = "threads",
    params(Place),
    responses((status = 204, description = "It is deleted")),
    extensions(("x-principals" = json!(WRITE)))
)]
#[delete("/v1/threads/{user_id}/{role}/{thread_id}")]
pub(crate) async fn delete_thread(
    state: Data<State>,
    path: Path<Place>,
    request: Write<()>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, key, .. } = request.allow(&WRITE)?;
    let tx = state.db.begin(&caller.actor_for(&path.user_id)?).await?;
    let deleted = web::write(tx, &caller, key, async |tx| {
        lock_client(tx, &path).await?;
        let deleted = Deleted {
            user_id: path.user_id.to_string(),
            message_ids: threads::delete(tx, path.named()).await?.ok_or(Error::NotFound)?,
        };
        tell_deleted(tx, &state.outbox, &[deleted])?;
        Ok::<_, Error>(Answer::no_content())
    })
    .await?;
    state.short_term.forget([path.named()]).await;
    Ok(deleted)
}
