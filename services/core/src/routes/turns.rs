//! Turns of a thread: a client's message with the companion's reply, and the short-term memory of the last of them.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, delete, get, post};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use web::{Answer, Caller, Fields, Granted, NOBODY_ELSE, Query, Read, Write, read};

use super::ai::AiBody;
use super::messages::{MAX_METADATA_BYTES, MAX_TEXT_BYTES};
use super::threads::{Place, READ, WRITE, must_find};
use crate::domain::thread::{NewTurn, Turn};
use crate::error::Error;
use crate::ops::store_messages::store_turn;
use crate::state::State;
use crate::store::threads::{self, Thread};
use crate::store::turns;

/// A client's message and the companion's reply.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; NewTurn is what it is read into")]
struct TurnBody {
    /// 1 to 65,536 bytes.
    user_message: String,
    /// 1 to 65,536 bytes.
    assistant_reply: String,
    /// What the companion's models said of the reply.
    ai: Option<AiBody>,
    /// When it was; by default now.
    timestamp: Option<DateTime<Utc>>,
    /// Up to 16 KiB as JSON, kept with both messages.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
}

impl Read for NewTurn {
    const MAX_BODY_BYTES: usize = 1024 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let user_message = fields.required("user_message", read::long_text(1..=MAX_TEXT_BYTES));
        let assistant_reply = fields.required("assistant_reply", read::long_text(1..=MAX_TEXT_BYTES));
        let ai = fields.optional_nested("ai");
        let timestamp = fields.optional("timestamp", read::timestamp);
        let metadata = fields.optional("metadata", read::object(MAX_METADATA_BYTES));
        Some(Self {
            user_message: user_message?,
            assistant_reply: assistant_reply?,
            ai: ai?,
            timestamp: timestamp?,
            metadata: metadata?,
        })
    }
}

/// A stored turn; its text is not sent back.
#[derive(Serialize, ToSchema)]
struct StoredTurn {
    message_id: i64,
    reply_id: i64,
    timestamp: DateTime<Utc>,
}

/// Store a turn: both messages, what the models said, and the thread where it is not there yet. Short-term memory follows.
#[utoipa::path(
    tag = "threads",
    params(Place),
    request_body = TurnBody,
    responses((status = 201, body = StoredTurn)),
    extensions(("x-principals" = json!(WRITE)))
)]
#[post("/v1/threads/{user_id}/{role}/{thread_id}/turns")]
pub(crate) async fn create(
    state: Data<State>,
    path: Path<Place>,
    request: Write<NewTurn>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&WRITE)?;
    let place = path.named();
    let tx = state.db.begin(&caller.actor_for(&path.user_id)?).await?;
    let mut kept = None;
    let answer = web::write(tx, &caller, key, async |tx| {
        let thread = threads::open(tx, place).await?.ok_or(Error::NotFound)?;
        let request_id = caller.request_id.as_str();
        let [said, replied] = store_turn(tx, &state.outbox, request_id, &thread, &body).await?;
        kept = Some((thread.window, said, replied));
        let told = StoredTurn {
            message_id: said.message_id,
            reply_id: replied.message_id,
            timestamp: said.timestamp,
        };
        Ok::<_, Error>(Answer::json(StatusCode::CREATED, &told)?)
    })
    .await?;
    // A replayed answer kept nothing.
    if let Some((before, said, replied)) = kept {
        let turn = Turn {
            message_id: said.message_id,
            reply_id: replied.message_id,
            user_message: body.user_message,
            assistant_reply: body.assistant_reply,
            timestamp: said.timestamp,
        };
        state.short_term.append(place, before, &turn).await;
    }
    Ok(answer)
}

/// A turn as short-term memory holds it.
#[derive(Serialize, ToSchema)]
struct TurnView {
    message_id: i64,
    reply_id: i64,
    user_message: String,
    assistant_reply: String,
    timestamp: DateTime<Utc>,
}

/// The last turns of a thread, oldest first.
#[derive(Serialize, ToSchema)]
struct WindowBody {
    items: Vec<TurnView>,
}

impl From<Vec<Turn>> for WindowBody {
    fn from(turns: Vec<Turn>) -> Self {
        let view = |turn: Turn| TurnView {
            message_id: turn.message_id,
            reply_id: turn.reply_id,
            user_message: turn.user_message,
            assistant_reply: turn.assistant_reply,
            timestamp: turn.timestamp,
        };
        Self {
            items: turns.into_iter().map(view).collect(),
        }
    }
}

/// The last turns of a thread, at most 20, for the next reply to build on.
#[utoipa::path(
    tag = "threads",
    params(Place),
    responses((status = 200, body = WindowBody)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/threads/{user_id}/{role}/{thread_id}/short-term")]
pub(crate) async fn window(
    state: Data<State>,
    path: Path<Place>,
    _: Query<()>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let thread = must_find(&state, &caller, &path).await?;
    let turns = if thread.window.last() == 0 {
        Vec::new()
    } else if let Some(kept) = thread.window.of_kept(state.short_term.get(path.named()).await) {
        kept
    } else {
        build(&state, &caller, &path, &thread).await?
    };
    Ok(caller.disclose(NOBODY_ELSE, &WindowBody::from(turns)).await?)
}

/// The window from what is stored, and into Redis for the next time.
async fn build(state: &State, caller: &Caller, path: &Place, thread: &Thread) -> Result<Vec<Turn>, Error> {
    let params: db::Params<'_> = &[&thread.id, &thread.window.from, &state.short_term.turns()];
    let actor = caller.actor_for(&path.user_id)?;
    let turns = turns::window(&state.db.read(&actor, turns::LAST, params).await?)?;
    state.short_term.replace(path.named(), &turns).await;
    Ok(turns)
}

/// Have the window ready for the next reply: it is built from what is stored, and lives anew.
#[utoipa::path(
    tag = "threads",
    params(Place),
    responses((status = 200, body = WindowBody)),
    extensions(("x-principals" = json!(WRITE)))
)]
#[post("/v1/threads/{user_id}/{role}/{thread_id}/short-term")]
pub(crate) async fn warm(
    state: Data<State>,
    path: Path<Place>,
    request: Write<()>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, .. } = request.allow(&WRITE)?;
    let thread = must_find(&state, &caller, &path).await?;
    let turns = build(&state, &caller, &path, &thread).await?;
    Ok(caller.disclose(NOBODY_ELSE, &WindowBody::from(turns)).await?)
}

/// Begin anew: what was said up to now is in no window any more. The messages stay.
#[utoipa::path(
    tag = "threads",
    params(Place),
    responses((status = 204, description = "The next window begins behind the last turn")),
    extensions(("x-principals" = json!(WRITE)))
)]
#[delete("/v1/threads/{user_id}/{role}/{thread_id}/short-term")]
pub(crate) async fn forget(
    state: Data<State>,
    path: Path<Place>,
    request: Write<()>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, key, .. } = request.allow(&WRITE)?;
    let tx = state.db.begin(&caller.actor_for(&path.user_id)?).await?;
    let answer = web::write(tx, &caller, key, async |tx| {
        if threads::forget_window(tx, path.named()).await? {
            Ok(Answer::no_content())
        } else {
            Err(Error::NotFound)
        }
    })
    .await?;
    state.short_term.forget([path.named()]).await;
    Ok(answer)
}
