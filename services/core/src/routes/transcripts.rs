//! What was said in a session, in pieces that come one by one or together.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path, ThinData};
use actix_web::{HttpResponse, get, post};
use chrono::{DateTime, Utc};
use db::Tx;
use serde::Serialize;
use utoipa::ToSchema;
use web::{
    Answer, Caller, Code, CursorKey, FieldError, Fields, Granted, Identifier, Item, Page, Paging, Problem,
    Query, Read, Write, read,
};

use super::interactions::{HOLD, held};
use crate::domain::interaction::{NewChunk, repeated};
use crate::error::Error;
use crate::state::State;
use crate::store::transcript_chunks::{self, Chunk, Stored};

const MAX_CONTENT_BYTES: usize = 65_536;
/// Escaped, a byte of text may take six.
const MAX_ONE_BYTES: usize = 512 * 1024;
const MAX_BATCH_ITEMS: usize = 1_000;
const MAX_BATCH_BYTES: usize = 8 * 1024 * 1024;

/// A piece of what was said.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; NewChunk is what it is read into")]
struct ChunkBody {
    /// Its place, from 0.
    #[schema(minimum = 0)]
    chunk_index: i32,
    /// 1 to 65,536 bytes.
    content: String,
}

impl Read for NewChunk {
    const MAX_BODY_BYTES: usize = MAX_ONE_BYTES;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let chunk_index = fields.required("chunk_index", read::integer(0..=i32::MAX));
        let content = fields.required("content", read::long_text(1..=MAX_CONTENT_BYTES));
        Some(Self {
            chunk_index: chunk_index?,
            content: content?,
        })
    }
}

/// Up to 1,000 pieces, 8 MiB in all.
#[derive(ToSchema)]
struct ChunkBatch {
    #[schema(value_type = Vec<ChunkBody>, max_items = 1000)]
    items: Vec<Item<NewChunk>>,
}

impl Read for ChunkBatch {
    const MAX_BODY_BYTES: usize = MAX_BATCH_BYTES;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self {
            items: fields.items("items", 1..=MAX_BATCH_ITEMS)?,
        })
    }
}

/// A piece that is stored; its text is not sent back.
#[derive(Serialize, ToSchema)]
struct StoredChunk {
    chunk_index: i32,
    created_at: DateTime<Utc>,
}

impl From<&Stored> for StoredChunk {
    fn from(stored: &Stored) -> Self {
        Self {
            chunk_index: stored.chunk_index,
            created_at: stored.created_at,
        }
    }
}

/// Stored pieces in the order of the request.
#[derive(Serialize, ToSchema)]
struct StoredChunks {
    items: Vec<StoredChunk>,
}

/// Store a piece. The same in the same place changes nothing.
#[utoipa::path(
    tag = "interactions",
    params(("session_key" = String, Path)),
    request_body = ChunkBody,
    responses(
        (status = 201, body = StoredChunk),
        (status = 200, description = "It is stored already", body = StoredChunk),
        (status = 409, description = "Something else stands in its place")
    ),
    extensions(("x-principals" = json!(HOLD)))
)]
#[post("/v1/interactions/{session_key}/transcript")]
pub(crate) async fn add(
    state: Data<State>,
    session_key: Path<Identifier>,
    request: Write<NewChunk>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&HOLD)?;
    let tx = state.db.begin(&caller.actor()?).await?;
    web::write(tx, &caller, key, async |tx| {
        let (client_id, stored) = store(tx, &session_key, &[body]).await?;
        let stored = stored.first().ok_or(Error::NotFound)?;
        let status = if stored.is_new {
            StatusCode::CREATED
        } else {
            StatusCode::OK
        };
        Ok(Answer::json(status, &StoredChunk::from(stored))?.about(client_id))
    })
    .await
}

/// Store up to 1,000 pieces: all of them, or none and every reason why.
#[utoipa::path(
    tag = "interactions",
    params(("session_key" = String, Path)),
    request_body = ChunkBatch,
    responses(
        (status = 200, body = StoredChunks),
        (status = 409, description = "Something else stands in the place of one of them")
    ),
    extensions(("x-principals" = json!(HOLD)))
)]
#[post("/v1/interactions/{session_key}/transcript:batch")]
pub(crate) async fn add_batch(
    state: Data<State>,
    session_key: Path<Identifier>,
    request: Write<ChunkBatch>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&HOLD)?;
    let chunks = web::all(body.items)?;
    let again = repeated(&chunks);
    if !again.is_empty() {
        return Err(Error::Refused(at(again, "stands in this batch before")));
    }
    let tx = state.db.begin(&caller.actor()?).await?;
    web::write(tx, &caller, key, async |tx| {
        let (client_id, stored) = store(tx, &session_key, &chunks).await?;
        let items = stored.iter().map(StoredChunk::from).collect();
        Ok(Answer::ok(&StoredChunks { items })?.about(client_id))
    })
    .await
}

/// Stores pieces of a session; returns its client as well.
async fn store(
    tx: &Tx,
    session_key: &str,
    chunks: &[NewChunk],
) -> Result<(Option<String>, Vec<Stored>), Error> {
    let session = held(tx, session_key).await?;
    let stored = transcript_chunks::insert(tx, session.id, chunks).await?;
    let others = stored.iter().enumerate().filter(|(_, stored)| !stored.is_same);
    let others: Vec<usize> = others.map(|(place, _)| place).collect();
    if others.is_empty() {
        return Ok((session.parties.client_id, stored));
    }
    let detail = "Something else stands in this place of the session.";
    let faults = if chunks.len() == 1 {
        Vec::new()
    } else {
        at(others, "stands with other content")
    };
    Err(Problem::conflict(Code::Differs, detail)
        .with_errors(faults)
        .into())
}

/// The same fault of several items of a batch.
fn at(places: Vec<usize>, detail: &str) -> Vec<FieldError> {
    let fault = |place| FieldError {
        pointer: format!("/items/{place}/chunk_index"),
        detail: detail.to_owned(),
    };
    places.into_iter().map(fault).collect()
}

/// A piece of what was said.
#[derive(Serialize, ToSchema)]
struct ChunkView {
    chunk_index: i32,
    content: String,
    created_at: DateTime<Utc>,
}

impl From<Chunk> for ChunkView {
    fn from(found: Chunk) -> Self {
        Self {
            chunk_index: found.chunk_index,
            content: found.content,
            created_at: found.created_at,
        }
    }
}

/// What was said in a session, from its beginning.
#[utoipa::path(
    tag = "interactions",
    params(
        ("session_key" = String, Path),
        ("limit" = Option<i64>, Query),
        ("cursor" = Option<String>, Query)
    ),
    responses((status = 200, body = Page<ChunkView>)),
    extensions(("x-principals" = json!(HOLD)))
)]
#[get("/v1/interactions/{session_key}/transcript")]
pub(crate) async fn list(
    state: Data<State>,
    session_key: Path<Identifier>,
    Query(paging): Query<Paging>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&HOLD)?;
    let list = format!("transcript of {}", *session_key);
    let after: i32 = cursors.open(&list, &caller, &paging)?.unwrap_or(-1);
    let limit = paging.limit + 1;
    let params: db::Params<'_> = &[&&**session_key, &after, &limit];
    let rows = state
        .db
        .read(&caller.actor()?, transcript_chunks::LIST, params)
        .await?;
    let found = transcript_chunks::listed(&rows)?.ok_or(Error::NotFound)?;
    let items = found.chunks.into_iter().map(ChunkView::from).collect();
    let page = Page::cut(items, paging.limit, |last: &ChunkView| {
        cursors.seal(&list, &caller, &paging, &last.chunk_index)
    });
    Ok(caller.disclose(found.client_id, &page).await?)
}
