//! Storing messages with all that follows from them.

use bus::{NewEvent, Outbox};
use chrono::{DateTime, Utc};
use common::SenderRole;
use common::contracts::MessageCreated;
use db::Tx;
use uuid::Uuid;

use crate::domain::message::NewMessage;
use crate::error::Error;
use crate::store::ai_metadata::{self, Said};
use crate::store::messages::{self, Stored};
use crate::store::users;

/// A message that may be stored: the role it was given, and the row of its thread.
pub(crate) type Accepted = (NewMessage, SenderRole, Option<Uuid>);

/// Stores messages of clients who are locked, with what was said of them, when their authors were last active, and the
/// events; what became of them in the order given.
pub(crate) async fn store_messages(
    tx: &Tx,
    outbox: &Outbox,
    request_id: &str,
    accepted: &[Accepted],
) -> Result<Vec<Stored>, Error> {
    let stored = messages::insert(tx, request_id, accepted).await?;
    let pairs = || accepted.iter().zip(&stored);
    let active: Vec<(&str, DateTime<Utc>)> = pairs()
        .filter(|((_, role, _), _)| *role == SenderRole::User)
        .map(|((message, ..), stored)| (message.user_id.as_str(), stored.timestamp))
        .collect();
    users::touch(tx, &active).await?;
    let said = pairs().filter_map(|((message, ..), stored)| {
        Some(Said {
            message_id: stored.message_id,
            user_id: message.user_id.clone(),
            reply_to: None,
            ai: message.ai.clone()?,
        })
    });
    ai_metadata::insert(tx, said.collect());
    let events = pairs()
        .map(|((message, role, _), stored)| created(message, *role, *stored))
        .collect::<Result<Vec<_>, _>>()?;
    outbox.enqueue(tx, events);
    Ok(stored)
}

fn created(message: &NewMessage, role: SenderRole, stored: Stored) -> Result<NewEvent, Error> {
    let created = MessageCreated {
        message_id: stored.message_id,
        user_id: message.user_id.clone(),
        timestamp: stored.timestamp,
        conversation_type: message.conversation_type,
        sender_role: role,
    };
    Ok(NewEvent::of(Some(message.user_id.clone()), &created)?)
}
