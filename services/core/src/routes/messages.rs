//! Writing messages: one, or a batch that is stored whole or not at all.

use std::collections::HashSet;

use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use chrono::{DateTime, Utc};
use common::{ConversationType, PrincipalKind, SenderRole};
use db::Tx;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use web::{Allowed, Answer, Caller, FieldError, Fields, Granted, Holder, Item, Problem, Read, Write, read};

use super::ai::AiBody;
use crate::domain::message::{Author, NewMessage, ThreadName};
use crate::error::Error;
use crate::ops::store_messages::{Accepted, store_messages};
use crate::state::State;
use crate::store::messages::Stored;
use crate::store::threads::{self, Place};
use crate::store::users;

const WRITE: Allowed = Allowed(&[
    PrincipalKind::Client,
    PrincipalKind::App,
    PrincipalKind::Counselor,
]);

/// Text of a message.
pub(super) const MAX_TEXT_BYTES: usize = 65_536;
pub(super) const MAX_METADATA_BYTES: usize = 16 * 1024;
/// Escaped, a byte of text may take six.
const MAX_ONE_BYTES: usize = 512 * 1024;
const MAX_BATCH_ITEMS: usize = 1_000;
const MAX_BATCH_BYTES: usize = 8 * 1024 * 1024;

/// A message.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; NewMessage is what it is read into")]
struct MessageBody {
    /// The client of the conversation.
    user_id: String,
    /// 1 to 65,536 bytes.
    message_text: String,
    #[schema(value_type = String, example = "buddy")]
    conversation_type: ConversationType,
    /// Who wrote it: an app says user (the default), assistant or staff; clients write as user, counselors as staff.
    #[schema(value_type = Option<String>, example = "user")]
    sender_role: Option<SenderRole>,
    /// Whom it was written to, where that is one person. Kept where the person has an account, else left out without a
    /// word; shown to that person, and where it is the message's client, and to nobody else: it would tell who is in the
    /// programme.
    recipient_id: Option<String>,
    /// When it was written; by default now.
    timestamp: Option<DateTime<Utc>>,
    /// Up to 16 KiB as JSON.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
    /// The client's thread that it belongs to, which must be there.
    thread: Option<ThreadNameBody>,
    /// What the companion's models said of it; of an assistant's message alone.
    ai: Option<AiBody>,
}

/// A client's thread, as the app names it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; ThreadName is what it is read into")]
struct ThreadNameBody {
    #[schema(example = "companion")]
    role: String,
    #[schema(example = "main")]
    thread_id: String,
}

impl Read for ThreadName {
    const MAX_BODY_BYTES: usize = 2 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let role = fields.required("role", read::identifier);
        let thread_id = fields.required("thread_id", read::identifier);
        Some(Self {
            role: role?,
            thread_id: thread_id?,
        })
    }
}

/// One of the conversation types.
pub(super) fn conversation_type(value: &web::Value) -> Result<ConversationType, web::Fault> {
    let must_be = "buddy, counselor, group, family or assistant";
    read::parsed(|word| word.parse().ok(), must_be)(value)
}

impl Read for NewMessage {
    const MAX_BODY_BYTES: usize = MAX_ONE_BYTES;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let user_id = fields.required("user_id", read::identifier);
        let message_text = fields.required("message_text", read::long_text(1..=MAX_TEXT_BYTES));
        let conversation_type = fields.required("conversation_type", conversation_type);
        let sender_role = fields.optional(
            "sender_role",
            read::parsed(|word| word.parse().ok(), "user, assistant or staff"),
        );
        let recipient_id = fields.optional("recipient_id", read::identifier);
        let timestamp = fields.optional("timestamp", read::timestamp);
        let metadata = fields.optional("metadata", read::object(MAX_METADATA_BYTES));
        let thread = fields.optional_nested("thread");
        let ai = fields.optional_nested("ai");
        Some(Self {
            user_id: user_id?,
            message_text: message_text?,
            conversation_type: conversation_type?,
            sender_role: sender_role?,
            recipient_id: recipient_id?,
            timestamp: timestamp?,
            metadata: metadata?,
            thread: thread?,
            ai: ai?,
        })
    }
}

/// Up to 1,000 messages, 8 MiB in all.
#[derive(ToSchema)]
struct MessageBatch {
    #[schema(value_type = Vec<MessageBody>, max_items = 1000)]
    items: Vec<Item<NewMessage>>,
}

impl Read for MessageBatch {
    const MAX_BODY_BYTES: usize = MAX_BATCH_BYTES;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self {
            items: fields.items("items", 1..=MAX_BATCH_ITEMS)?,
        })
    }
}

/// A stored message; its text is not sent back.
#[derive(Serialize, ToSchema)]
struct StoredBody {
    message_id: i64,
    user_id: String,
    timestamp: DateTime<Utc>,
    #[schema(value_type = String, example = "buddy")]
    conversation_type: ConversationType,
    #[schema(value_type = String, example = "user")]
    sender_role: SenderRole,
}

/// Stored messages in the order of the request.
#[derive(Serialize, ToSchema)]
struct BatchAnswer {
    items: Vec<StoredBody>,
}

/// Store a message.
#[utoipa::path(
    tag = "messages",
    request_body = MessageBody,
    responses((status = 201, body = StoredBody)),
    extensions(("x-principals" = json!(WRITE)))
)]
#[post("/v1/messages")]
pub(crate) async fn create(state: Data<State>, request: Write<NewMessage>) -> Result<HttpResponse, Error> {
    let Granted {
        caller,
        body: message,
        key,
    } = request.allow(&WRITE)?;
    let client = message.user_id.clone();
    let actor = caller.actor_for(&client)?;
    let given = Given::ask(&state, vec![message]).await?;
    let tx = state.db.begin(&actor).await?;
    web::write(tx, &caller, key, async |tx| {
        let stored = match store(&state, tx, &caller, given).await? {
            Outcome::Stored(stored) => stored.into_iter().next().ok_or(Error::NotFound)?,
            Outcome::Refused(refusals) => return Err(refused_alone(refusals)),
        };
        let location = format!("/v1/messages/{}", stored.message_id);
        Ok(Answer::created(location, &stored)?.about([&stored.user_id]))
    })
    .await
}

/// Store up to 1,000 messages: all of them, or none and every reason why.
#[utoipa::path(
    tag = "messages",
    request_body = MessageBatch,
    responses((status = 200, body = BatchAnswer)),
    extensions(("x-principals" = json!(WRITE)))
)]
#[post("/v1/messages:batch")]
pub(crate) async fn create_batch(
    state: Data<State>,
    request: Write<MessageBatch>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&WRITE)?;
    let messages = web::all(body.items)?;
    // An app that names nobody in the header hands on messages of many clients.
    let for_many = caller.principal.holder == Holder::App && caller.on_behalf_of.is_none();
    let given = Given::ask(&state, messages).await?;
    let tx = if for_many {
        state.db.begin_worker().await?
    } else {
        state.db.begin(&caller.actor()?).await?
    };
    web::write(tx, &caller, key, async |tx| {
        match store(&state, tx, &caller, given).await? {
            Outcome::Stored(items) => {
                let people: Vec<String> = items.iter().map(|stored| stored.user_id.clone()).collect();
                Ok(Answer::ok(&BatchAnswer { items })?.about(people))
            }
            Outcome::Refused(refusals) => Err(refused_in_batch(&refusals)),
        }
    })
    .await
}

/// What became of the messages of one request.
enum Outcome {
    Stored(Vec<StoredBody>),
    Refused(Vec<Refusal>),
}

/// Messages, and which of their recipients have an account.
struct Given {
    messages: Vec<NewMessage>,
    recipients: HashSet<String>,
}

impl Given {
    /// Asks for the recipients. Before a transaction is begun: who holds one of the worker's connections while waiting for a
    /// second one waits for others who do the same.
    async fn ask(state: &State, messages: Vec<NewMessage>) -> Result<Self, Error> {
        let recipients = existing_recipients(state, &messages).await?;
        Ok(Self { messages, recipients })
    }
}

/// Why a message is not stored.
struct Refusal {
    index: usize,
    field: &'static str,
    detail: &'static str,
}

const NOT_YOURS: &str = "is no client for whom you may write";
const NOT_THEIRS: &str = "is no thread of this client";
const NOT_OF_A_MODEL: &str = "is for messages of the assistant";

/// Stores all messages with their events, or finds everything that is wrong with them. The transaction sees the
/// clients that the caller may see.
async fn store(state: &State, tx: &Tx, caller: &Caller, given: Given) -> Result<Outcome, Error> {
    let Given {
        messages: given,
        recipients,
    } = given;
    let user_ids: HashSet<&str> = given.iter().map(|message| message.user_id.as_str()).collect();
    let clients = users::lock_clients(tx, &user_ids.into_iter().collect::<Vec<_>>()).await?;
    let named: Vec<Place<'_>> = given.iter().filter_map(place).collect();
    let mut threads = threads::hold(tx, &named).await?.into_iter();
    let author = author(caller)?;
    let mut accepted = Vec::with_capacity(given.len());
    let mut refusals = Vec::new();
    for (index, mut message) in given.into_iter().enumerate() {
        let mut refuse = |field, detail| refusals.push(Refusal { index, field, detail });
        if !clients.contains(&message.user_id) {
            refuse("user_id", NOT_YOURS);
        }
        let thread = message.thread.as_ref().and_then(|_| threads.next().flatten());
        if message.thread.is_some() && thread.is_none() {
            refuse("thread", NOT_THEIRS);
        }
        // A recipient without an account is left out and not refused: a refusal would tell who is in the programme.
        message.recipient_id = message
            .recipient_id
            .filter(|recipient| recipients.contains(recipient));
        match author.role(message.sender_role) {
            Ok(role) if message.ai.is_some() && role != SenderRole::Assistant => refuse("ai", NOT_OF_A_MODEL),
            Ok(role) => accepted.push((message, role, thread)),
            Err(detail) => refuse("sender_role", detail),
        }
    }
    if !refusals.is_empty() {
        return Ok(Outcome::Refused(refusals));
    }
    let stored = store_messages(tx, &state.outbox, caller.request_id.as_str(), &accepted).await?;
    let bodies = accepted.iter().zip(stored);
    Ok(Outcome::Stored(
        bodies.map(|(message, stored)| body(message, stored)).collect(),
    ))
}

/// The thread that a message names, of its own client.
fn place(message: &NewMessage) -> Option<Place<'_>> {
    message.thread.as_ref().map(|thread| Place {
        user_id: &message.user_id,
        role: &thread.role,
        thread_id: &thread.thread_id,
    })
}

/// Which of the recipients have an account. They need not be people whom the caller may see: a buddy is not.
async fn existing_recipients(state: &State, messages: &[NewMessage]) -> Result<HashSet<String>, Error> {
    let named: HashSet<&str> = messages
        .iter()
        .filter_map(|message| message.recipient_id.as_deref())
        .collect();
    if named.is_empty() {
        return Ok(HashSet::new());
    }
    let named: Vec<&str> = named.into_iter().collect();
    Ok(users::ids(
        &state.db.worker_query(users::EXISTING, &[&named]).await?,
    )?)
}

fn author(caller: &Caller) -> Result<Author, Problem> {
    match caller.principal.holder {
        Holder::Client => Ok(Author::Client),
        Holder::Staff => Ok(Author::Staff),
        Holder::App => Ok(Author::App),
        Holder::Pipeline | Holder::Service => Err(Problem::forbidden(
            "Programs other than an app write no messages.",
        )),
    }
}

fn body((message, role, _): &Accepted, stored: Stored) -> StoredBody {
    StoredBody {
        message_id: stored.message_id,
        user_id: message.user_id.clone(),
        timestamp: stored.timestamp,
        conversation_type: message.conversation_type,
        sender_role: *role,
    }
}

/// A client who is absent or not the caller's is a 404; everything else names its field.
fn refused_alone(refusals: Vec<Refusal>) -> Error {
    if refusals.iter().any(|refusal| refusal.field == "user_id") {
        return Error::NotFound;
    }
    let faults = refusals.into_iter().map(|refusal| FieldError {
        pointer: format!("/{}", refusal.field),
        detail: refusal.detail.to_owned(),
    });
    Error::Refused(faults.collect())
}

fn refused_in_batch(refusals: &[Refusal]) -> Error {
    let faults = refusals.iter().map(|refusal| FieldError {
        pointer: format!("/items/{}/{}", refusal.index, refusal.field),
        detail: refusal.detail.to_owned(),
    });
    Error::Refused(faults.collect())
}
