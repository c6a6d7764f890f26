//! `core.message.created`: how much a client writes a day. What staff and the companion write does not count.

use bus::HandleError;
use common::contracts::MessageCreated;
use common::{Event, SenderRole};
use db::Tx;

use crate::store::daily_engagement;

pub(super) async fn created(tx: &Tx, events: &[Event]) -> Result<(), HandleError> {
    let mut messages: Vec<MessageCreated> = bus::read(events)?;
    messages.retain(|message| message.sender_role == SenderRole::User);
    daily_engagement::add(tx, &messages).await?;
    Ok(())
}
