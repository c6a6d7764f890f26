//! Storing messages with all that follows from them.

use bus::{NewEvent, Outbox};
use common::contracts::MessageCreated;
use common::{ConversationType, SenderRole};
use db::Tx;
use uuid::Uuid;

use crate::domain::ai::AiMetadata;
use crate::domain::message::NewMessage;
use crate::domain::thread::{NewTurn, title_of};
use crate::error::Error;
use crate::store::ai_metadata::{self, Said};
use crate::store::messages::{self, Stored};
use crate::store::threads::{self, Thread};
use crate::store::{turns, users};

/// A message that may be stored: the role it was given, and the row of its thread.
pub(crate) type Accepted = (NewMessage, SenderRole, Option<Uuid>);

/// Stores messages of clients who are locked, with all that follows; what became of them in the order given.
pub(crate) async fn store_messages(
    tx: &Tx,
    outbox: &Outbox,
    request_id: &str,
    accepted: &[Accepted],
) -> Result<Vec<Stored>, Error> {
    let stored = messages::insert(tx, request_id, accepted).await?;
    threads::touch(tx, accepted.iter().filter_map(|(.., thread)| *thread).collect());
    let written = accepted
        .iter()
        .zip(&stored)
        .map(|((message, role, _), stored)| Written {
            user_id: &message.user_id,
            conversation_type: message.conversation_type,
            role: *role,
            ai: message.ai.as_ref(),
            stored: *stored,
        });
    follow(tx, outbox, &written.collect::<Vec<_>>())?;
    Ok(stored)
}

/// Stores a turn in a thread that is held, with all that follows; the client's message and the reply.
pub(crate) async fn store_turn(
    tx: &Tx,
    outbox: &Outbox,
    request_id: &str,
    thread: &Thread,
    turn: &NewTurn,
) -> Result<[Stored; 2], Error> {
    let both = turns::insert(tx, (thread.id, &thread.user_id), request_id, turn).await?;
    let [said, replied] = both;
    let called = thread
        .title
        .is_empty()
        .then(|| (title_of(&turn.user_message), said.message_id));
    threads::advance(tx, thread.id, replied.message_id, called);
    let written = |role, ai, stored| Written {
        user_id: &thread.user_id,
        conversation_type: ConversationType::Assistant,
        role,
        ai,
        stored,
    };
    let written = [
        written(SenderRole::User, None, said),
        written(SenderRole::Assistant, turn.ai.as_ref(), replied),
    ];
    follow(tx, outbox, &written)?;
    Ok(both)
}

/// A message of this transaction.
struct Written<'a> {
    user_id: &'a str,
    conversation_type: ConversationType,
    role: SenderRole,
    ai: Option<&'a AiMetadata>,
    stored: Stored,
}

/// What follows from messages, with the commit: when their authors were last active, what models said of them, and the
/// events.
fn follow(tx: &Tx, outbox: &Outbox, written: &[Written<'_>]) -> Result<(), Error> {
    let own = written.iter().filter(|written| written.role == SenderRole::User);
    users::touch(
        tx,
        own.map(|own| (own.user_id.to_owned(), own.stored.timestamp))
            .collect(),
    );
    let said = written.iter().filter_map(|written| {
        Some(Said {
            message_id: written.stored.message_id,
            user_id: written.user_id.to_owned(),
            ai: written.ai?.clone(),
        })
    });
    ai_metadata::insert(tx, said.collect());
    let events = written.iter().map(created).collect::<Result<_, _>>()?;
    outbox.enqueue(tx, events);
    Ok(())
}

fn created(written: &Written<'_>) -> Result<NewEvent, Error> {
    let created = MessageCreated {
        message_id: written.stored.message_id,
        user_id: written.user_id.to_owned(),
        timestamp: written.stored.timestamp,
        conversation_type: written.conversation_type,
        sender_role: written.role,
    };
    Ok(NewEvent::of(Some(created.user_id.clone()), &created)?)
}
