//! `core.messages`, of which this service may read who wrote when and where, never what.

use chrono::{DateTime, Utc};
use common::{ConversationType, SenderRole};
use db::Row;

use super::word;

/// A message as far as predictions need it.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) message_id: i64,
    pub(crate) user_id: String,
    pub(crate) timestamp: DateTime<Utc>,
    pub(crate) conversation_type: ConversationType,
    pub(crate) sender_role: SenderRole,
}

/// `$1`: message ids. Messages that were anonymised belong to nobody and are not found.
pub(crate) const FIND: &str = "
    select m.message_id, m.user_id, m.timestamp, m.conversation_type, m.sender_role
    from core.messages m
    where m.message_id = any ($1) and m.user_id is not null";

pub(crate) fn from_row(row: &Row) -> Result<Message, db::Error> {
    Ok(Message {
        message_id: row.try_get("message_id")?,
        user_id: row.try_get("user_id")?,
        timestamp: row.try_get("timestamp")?,
        conversation_type: word(row, "conversation_type")?,
        sender_role: word(row, "sender_role")?,
    })
}
