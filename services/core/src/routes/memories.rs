//! What the companion remembers of a client: kept, corrected, searched and read under the client's consent. The client
//! reads what is kept without one, and has it forgotten: it is theirs.

mod body;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path, ThinData};
use actix_web::{HttpResponse, delete, get, patch, post};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;
use web::{
    Answer, Caller, Code, CursorKey, Granted, Holder, Identifier, NOBODY_ELSE, Page, Paging, Params, Problem,
    Query, ReadQuery, Write, read,
};

use self::body::{CorrectionBody, MemoryBody};
pub(super) use self::body::{direction, model};
use super::preferences::{READ, WRITE};
use crate::domain::memory::{Correction, ENTRY_TYPES, MEMORY_TYPES, NewMemory};
use crate::error::Error;
use crate::ops::remember;
use crate::state::State;
use crate::store::memories::{self, Memory, Origin};

/// A memory.
#[derive(Serialize, ToSchema)]
pub(super) struct MemoryView {
    pub(super) id: Uuid,
    pub(super) user_id: String,
    /// personal, project or task.
    memory_type: String,
    /// profile_fact, preference, retrieval_document, summary or nugget.
    entry_type: String,
    content: String,
    role: Option<String>,
    thread_id: Option<String>,
    is_sensitive: bool,
    write_reason: Option<String>,
    source_provider: Option<String>,
    source_session_id: Option<String>,
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
    idempotency_hash: Option<String>,
    created_at: DateTime<Utc>,
    /// When it was last read or found, to the minute or so.
    accessed_at: DateTime<Utc>,
    valid_from: Option<DateTime<Utc>>,
    expires_at: Option<DateTime<Utc>>,
    /// The correction that took its place; null while it holds.
    superseded_by: Option<Uuid>,
}

impl From<Memory> for MemoryView {
    fn from(found: Memory) -> Self {
        Self {
            id: found.id,
            user_id: found.user_id,
            memory_type: found.content.memory_type,
            entry_type: found.content.entry_type,
            content: found.content.content,
            role: found.content.role,
            thread_id: found.content.thread_id,
            is_sensitive: found.content.is_sensitive,
            write_reason: found.content.write_reason,
            source_provider: found.content.source_provider,
            source_session_id: found.content.source_session_id,
            metadata: found.content.metadata,
            idempotency_hash: found.idempotency_hash,
            created_at: found.created_at,
            accessed_at: found.accessed_at,
            valid_from: found.content.valid_from,
            expires_at: found.content.expires_at,
            superseded_by: found.superseded_by,
        }
    }
}

/// A memory that was kept; what it says is not sent back: answers are kept as well, and longer than what is forgotten.
#[derive(Serialize, ToSchema)]
struct KeptMemory {
    id: Uuid,
    user_id: String,
    is_sensitive: bool,
    created_at: DateTime<Utc>,
    valid_from: Option<DateTime<Utc>>,
    expires_at: Option<DateTime<Utc>>,
    /// The correction that took its place; null while it holds.
    superseded_by: Option<Uuid>,
}

impl From<Memory> for KeptMemory {
    fn from(kept: Memory) -> Self {
        Self {
            id: kept.id,
            user_id: kept.user_id,
            is_sensitive: kept.content.is_sensitive,
            created_at: kept.created_at,
            valid_from: kept.content.valid_from,
            expires_at: kept.content.expires_at,
            superseded_by: kept.superseded_by,
        }
    }
}

/// Staff see no sensitive memory, nor that it is there.
pub(super) fn sees_sensitive(caller: &Caller) -> bool {
    caller.principal.holder != Holder::Staff
}

/// Whether it is the client who asks: what is remembered of them is theirs to read without a consent, and nobody else's.
pub(super) fn is_the_client(caller: &Caller) -> bool {
    caller.principal.holder == Holder::Client
}

/// Remember something. The same hash again is the same memory: nothing is changed, and what came with it is left aside; it
/// may have been corrected, and `superseded_by` then says by which memory. A hash is free again once its memory has expired
/// or was forgotten. The content is not sent back.
#[utoipa::path(
    tag = "memories",
    params(("user_id" = String, Path)),
    request_body = MemoryBody,
    responses(
        (status = 201, body = KeptMemory),
        (status = 200, description = "It is kept already", body = KeptMemory),
        (status = 403, description = "consent-required: the client has not consented to be remembered"),
        (status = 409, description = "Something else stands under the same hash")
    ),
    extensions(("x-principals" = json!(WRITE)))
)]
#[post("/v1/users/{user_id}/memories")]
pub(crate) async fn create(
    state: Data<State>,
    user_id: Path<Identifier>,
    request: Write<NewMemory>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&WRITE)?;
    remember::must_fit(&state.models, &state.db, &body.embeddings).await?;
    let tx = state.db.begin(&caller.actor_for(&user_id)?).await?;
    web::write(tx, &caller, key, async |tx| {
        remember::hold_consent(tx, &user_id).await?;
        let origin = Origin {
            user_id: &user_id,
            request_id: caller.request_id.as_str(),
        };
        let (memory, is_new) = remember::store(tx, origin, &body).await?;
        let location = format!("/v1/memories/{}", memory.id);
        Ok(Answer::stands(is_new, location, &KeptMemory::from(memory))?)
    })
    .await
}

/// Correct a memory: a new one takes its place, also in collections, and it stays in the history. Nothing finds it any
/// more. The same hash again is the same correction. The content is not sent back.
#[utoipa::path(
    tag = "memories",
    params(("memory_id" = Uuid, Path)),
    request_body = CorrectionBody,
    responses(
        (status = 200, description = "The correction", body = KeptMemory),
        (status = 403, description = "consent-required: the client has not consented to be remembered"),
        (status = 409, description = "It was corrected before; the answer names the memory that holds")
    ),
    extensions(("x-principals" = json!(WRITE)))
)]
#[patch("/v1/memories/{memory_id}")]
pub(crate) async fn correct(
    state: Data<State>,
    memory_id: Path<Uuid>,
    request: Write<Correction>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&WRITE)?;
    remember::must_fit(&state.models, &state.db, &body.embeddings).await?;
    let tx = state.db.begin(&caller.actor()?).await?;
    web::write(tx, &caller, key, async |tx| {
        let owner = memories::owner(tx, *memory_id).await?.ok_or(Error::NotFound)?;
        remember::hold_consent(tx, &owner).await?;
        let corrected = memories::lock(tx, *memory_id).await?.ok_or(Error::NotFound)?;
        let new = body.of(corrected.content);
        if corrected.superseded_by.is_some() {
            let holds = memories::latest(tx, corrected.id).await?;
            let repeats = new.idempotency_hash.is_some() && new.idempotency_hash == holds.idempotency_hash;
            if repeats && new.content.repeats(&holds.content) {
                return Ok(Answer::ok(&KeptMemory::from(holds))?.about([corrected.user_id]));
            }
            return Err(corrected_before(holds.id).into());
        }
        let origin = Origin {
            user_id: &corrected.user_id,
            request_id: caller.request_id.as_str(),
        };
        let (correction, is_new) = remember::store(tx, origin, &new).await?;
        if !is_new {
            return Err(remember::differs(correction.id).into());
        }
        memories::supersede(tx, corrected.id, correction.id).await?;
        Ok(Answer::json(StatusCode::OK, &KeptMemory::from(correction))?.about([corrected.user_id]))
    })
    .await
}

fn corrected_before(holds: Uuid) -> Problem {
    Problem::conflict(
        Code::WrongState,
        format!("This was corrected before. Memory {holds} holds now: correct that one."),
    )
}

/// Forget a memory with all that it corrected, and its embeddings.
#[utoipa::path(
    tag = "memories",
    params(("memory_id" = Uuid, Path)),
    responses((status = 204, description = "It is forgotten")),
    extensions(("x-principals" = json!(WRITE)))
)]
#[delete("/v1/memories/{memory_id}")]
pub(crate) async fn forget(
    state: Data<State>,
    memory_id: Path<Uuid>,
    request: Write<()>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, key, .. } = request.allow(&WRITE)?;
    let tx = state.db.begin(&caller.actor()?).await?;
    web::write(tx, &caller, key, async |tx| {
        let owner = memories::delete(tx, *memory_id).await?.ok_or(Error::NotFound)?;
        Ok(Answer::no_content().about([owner]))
    })
    .await
}

/// One memory, also one that was corrected.
#[utoipa::path(
    tag = "memories",
    params(("memory_id" = Uuid, Path)),
    responses(
        (status = 200, body = MemoryView),
        (status = 403, description = "consent-required: the client, who needs none, has not consented to be remembered")
    ),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/memories/{memory_id}")]
pub(crate) async fn find(
    state: Data<State>,
    memory_id: Path<Uuid>,
    _: Query<()>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let params: db::Params<'_> = &[&*memory_id, &sees_sensitive(&caller), &is_the_client(&caller)];
    let rows = state
        .db
        .read(&caller.actor()?, &memories::find_sql(), params)
        .await?;
    let memory = remember::must_be_shown(memories::found(&rows)?)?;
    state.touched.note([memory.id]);
    let owner = memory.user_id.clone();
    Ok(caller.disclose([owner], &MemoryView::from(memory)).await?)
}

/// What is shown besides memories that hold.
const INCLUDED: &[&str] = &["history", "expired", "all"];

/// Which of a client's memories are asked for.
struct ListQuery {
    memory_type: Option<&'static str>,
    entry_type: Option<&'static str>,
    role: Option<String>,
    thread_id: Option<String>,
    include: Option<&'static str>,
    paging: Paging,
}

impl ListQuery {
    /// Whether a type, an entry type, a role and a thread are given.
    fn narrowed(&self) -> [bool; 4] {
        [
            self.memory_type.is_some(),
            self.entry_type.is_some(),
            self.role.is_some(),
            self.thread_id.is_some(),
        ]
    }
}

impl ReadQuery for ListQuery {
    fn read(params: &mut Params) -> Option<Self> {
        let memory_type = params.optional("memory_type", read::one_of(MEMORY_TYPES));
        let entry_type = params.optional("entry_type", read::one_of(ENTRY_TYPES));
        let role = params.optional("role", read::identifier);
        let thread_id = params.optional("thread_id", read::identifier);
        let include = params.optional("include", read::one_of(INCLUDED));
        let paging = Paging::read(params);
        Some(Self {
            memory_type: memory_type?,
            entry_type: entry_type?,
            role: role?,
            thread_id: thread_id?,
            include: include?,
            paging: paging?,
        })
    }
}

/// A client's memories that hold, newest first; with `include` those that were corrected, those that have expired, or all.
#[utoipa::path(
    tag = "memories",
    params(
        ("user_id" = String, Path),
        ("memory_type" = Option<String>, Query),
        ("entry_type" = Option<String>, Query),
        ("role" = Option<String>, Query),
        ("thread_id" = Option<String>, Query),
        ("include" = Option<String>, Query, description = "history, expired or all"),
        ("limit" = Option<i64>, Query),
        ("cursor" = Option<String>, Query)
    ),
    responses(
        (status = 200, body = Page<MemoryView>),
        (status = 403, description = "consent-required: the client, who needs none, has not consented to be remembered")
    ),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/users/{user_id}/memories")]
pub(crate) async fn list(
    state: Data<State>,
    user_id: Path<Identifier>,
    Query(query): Query<ListQuery>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let list = format!("memories of {}", *user_id);
    let after: Option<(DateTime<Utc>, Uuid)> = cursors.open(&list, &caller, &query.paging)?;
    let (at, id) = after.unwrap_or((DateTime::<Utc>::MAX_UTC, Uuid::max()));
    let includes = |what| matches!(query.include, Some(word) if word == what || word == "all");
    let params: db::Params<'_> = &[
        &&**user_id,
        &sees_sensitive(&caller),
        &includes("history"),
        &includes("expired"),
        &query.memory_type,
        &query.entry_type,
        &query.role,
        &query.thread_id,
        &at,
        &id,
        &(query.paging.limit + 1),
        &is_the_client(&caller),
    ];
    let actor = caller.actor_for(&user_id)?;
    let rows = state
        .db
        .read(&actor, &memories::list_sql(query.narrowed()), params)
        .await?;
    let found = remember::must_be_shown(memories::listed(&rows)?)?;
    let items = found.into_iter().map(MemoryView::from).collect();
    let page = Page::cut(items, query.paging.limit, |last: &MemoryView| {
        cursors.seal(&list, &caller, &query.paging, &(last.created_at, last.id))
    });
    state.touched.note(page.items.iter().map(|shown| shown.id));
    Ok(caller.disclose(NOBODY_ELSE, &page).await?)
}
