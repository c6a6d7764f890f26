//! Others are told of messages that are gone, in the transaction in which they went.

use bus::{NewEvent, Outbox};
use common::contracts::MessageDeleted;
use db::Tx;

use crate::error::Error;

/// Ids that one event names, so that it stays far below what an envelope may hold.
const MAX_IDS_PER_EVENT: usize = 1_000;

/// Messages of one client.
#[derive(Clone, Debug)]
pub(crate) struct Deleted {
    pub(crate) user_id: String,
    pub(crate) message_ids: Vec<i64>,
}

/// Enqueues the events of messages that are gone; none of a client who has lost none.
pub(crate) fn tell_deleted(tx: &Tx, outbox: &Outbox, deleted: &[Deleted]) -> Result<(), Error> {
    let events: Vec<NewEvent> = deleted
        .iter()
        .flat_map(|of_client| {
            let chunks = of_client.message_ids.chunks(MAX_IDS_PER_EVENT);
            chunks.map(|message_ids| event(&of_client.user_id, message_ids))
        })
        .collect::<Result<_, _>>()?;
    outbox.enqueue(tx, events);
    Ok(())
}

fn event(user_id: &str, message_ids: &[i64]) -> Result<NewEvent, bus::EncodeError> {
    let deleted = MessageDeleted {
        user_id: user_id.to_owned(),
        message_ids: message_ids.to_vec(),
    };
    NewEvent::of(Some(deleted.user_id.clone()), &deleted)
}
