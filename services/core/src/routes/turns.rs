//! Turns of a thread: a client's message with the companion's reply, and the short-term memory of the last of them.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, delete, get, post};
use chrono::{DateTime, Utc};
use common::{ConversationType, SenderRole};
use serde::Serialize;
use utoipa::ToSchema;
use web::{Answer, Caller, Fields, Granted, NOBODY_ELSE, Query, Read, Write, read};

use super::ai::AiBody;
use super::threads::{Place, READ, WRITE, must_find};
use crate::domain::message::NewMessage;
use crate::domain::thread::{NewTurn, Turn, title_of};
use crate::error::Error;
use crate::ops::store_messages::{Accepted, store_messages};
use crate::state::State;
use crate::store::messages::Stored;
use crate::store::threads::{self, Held, Thread};
use crate::store::users;

const MAX_TEXT_BYTES: usize = 65_536;

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
}

impl Read for NewTurn {
    const MAX_BODY_BYTES: usize = 1024 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let user_message = fields.required("user_message", read::long_text(1..=MAX_TEXT_BYTES));
        let assistant_reply = fields.required("assistant_reply", read::long_text(1..=MAX_TEXT_BYTES));
        let ai = fields.optional_nested("ai");
        Some(Self {
            user_message: user_message?,
            assistant_reply: assistant_reply?,
            ai: ai?,
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
        if users::lock_clients(tx, &[place.user_id]).await?.is_empty() {
            return Err(Error::NotFound);
        }
        let named = [(place, title_of(&body.user_message))];
        let held = threads::hold(tx, &named)
            .await?
            .into_iter()
            .next()
            .ok_or(Error::NotFound)?;
        let pair = messages_of(place.user_id, &body, &held);
        let stored = store_messages(tx, &state.outbox, caller.request_id.as_str(), &pair).await?;
        let &[said, replied] = stored.as_slice() else {
            return Err(Error::NotFound);
        };
        threads::advance(tx, held.id, said.message_id, replied.message_id);
        let told = StoredTurn {
            message_id: said.message_id,
            reply_id: replied.message_id,
            timestamp: said.timestamp,
        };
        kept = Some((held, turn_of(&body, said, replied)));
        Ok(Answer::json(StatusCode::CREATED, &told)?)
    })
    .await?;
    // A replayed answer kept nothing.
    if let Some((before, turn)) = kept {
        state.short_term.append(place, &before, &turn).await;
    }
    Ok(answer)
}

/// The two messages of a turn, at a time later than every turn before.
fn messages_of(user_id: &str, turn: &NewTurn, held: &Held) -> [Accepted; 2] {
    let message = |text: &str| NewMessage {
        user_id: user_id.to_owned(),
        message_text: text.to_owned(),
        conversation_type: ConversationType::Assistant,
        sender_role: None,
        recipient_id: None,
        timestamp: Some(held.now),
        metadata: None,
        thread: None,
        ai: None,
    };
    let reply = NewMessage {
        ai: Some(turn.ai.clone().unwrap_or_default()),
        ..message(&turn.assistant_reply)
    };
    [
        (message(&turn.user_message), SenderRole::User, Some(held.id)),
        (reply, SenderRole::Assistant, Some(held.id)),
    ]
}

fn turn_of(turn: &NewTurn, said: Stored, replied: Stored) -> Turn {
    Turn {
        message_id: said.message_id,
        reply_id: replied.message_id,
        user_message: turn.user_message.clone(),
        assistant_reply: turn.assistant_reply.clone(),
        timestamp: said.timestamp,
    }
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
    let kept = state.short_term.get(path.named()).await;
    let is_current = kept
        .last()
        .is_some_and(|last| last.reply_id == thread.last_turn_id);
    let turns = if is_current && thread.last_turn_id > thread.window_from {
        kept
    } else {
        build(&state, &caller, &path, &thread).await?
    };
    Ok(caller.disclose(NOBODY_ELSE, &WindowBody::from(turns)).await?)
}

/// The window from what is stored, and into Redis for the next time.
async fn build(state: &State, caller: &Caller, path: &Place, thread: &Thread) -> Result<Vec<Turn>, Error> {
    let params: db::Params<'_> = &[&thread.id, &thread.window_from, &state.short_term.turns()];
    let actor = caller.actor_for(&path.user_id)?;
    let rows = state.db.read(&actor, threads::TURNS, params).await?;
    let turns = rows
        .iter()
        .map(threads::turn_from_row)
        .collect::<Result<Vec<_>, _>>()?;
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
    let key_of_window = [(path.role.to_string(), path.thread_id.to_string())];
    state.short_term.forget(&path.user_id, &key_of_window).await;
    Ok(answer)
}
