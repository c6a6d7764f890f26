//! `core.message.created`: the counts of a client's own messages and the time since the last one to a buddy.
//! `core.message.deleted`: predictions and findings go with their message, and the profile says no more what they made it say.

use std::collections::BTreeSet;
use std::sync::Arc;

use bus::HandleError;
use common::contracts::{MessageCreated, MessageDeleted};
use common::{Event, SenderRole};
use db::Tx;

use crate::ops::recompute::{Recompute, recompute};
use crate::state::State;
use crate::store::{predictions, profiles, safety_events};

pub(super) async fn created(state: &Arc<State>, tx: &Tx, events: &[Event]) -> Result<(), HandleError> {
    let messages: Vec<MessageCreated> = bus::read(events)?;
    let own = messages
        .iter()
        .filter(|message| message.sender_role == SenderRole::User);
    let authors: BTreeSet<&str> = own.map(|message| message.user_id.as_str()).collect();
    let authors: Vec<&str> = authors.into_iter().collect();
    // The message may arrive before the account it belongs to.
    profiles::create(tx, &authors, state.clock.fixed()).await?;
    let what = Recompute::lock(tx, &authors, state.clock.fixed()).await?;
    recompute(tx, &state.outbox, what, Vec::new())
        .await
        .map_err(HandleError::other)?;
    Ok(())
}

pub(super) async fn deleted(state: &Arc<State>, tx: &Tx, events: &[Event]) -> Result<(), HandleError> {
    let deleted: Vec<MessageDeleted> = bus::read(events)?;
    let clients: BTreeSet<&str> = deleted.iter().map(|deleted| deleted.user_id.as_str()).collect();
    let clients: Vec<&str> = clients.into_iter().collect();
    let ids = deleted.iter().flat_map(|deleted| &deleted.message_ids);
    let ids: Vec<i64> = ids.copied().collect();
    predictions::delete(tx, &clients, &ids).await?;
    // Behind the lock of the profiles, which the predictions took.
    safety_events::delete(tx, &clients, &ids).await?;
    let what = Recompute::lock(tx, &clients, state.clock.fixed()).await?;
    recompute(tx, &state.outbox, what, Vec::new())
        .await
        .map_err(HandleError::other)?;
    Ok(())
}
