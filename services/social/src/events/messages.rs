//! `core.message.created`: the counts of a client's own messages and the time since the last one to a buddy.

use std::collections::BTreeSet;
use std::sync::Arc;

use bus::HandleError;
use common::contracts::MessageCreated;
use common::{Event, SenderRole};
use db::Tx;

use crate::ops::recompute::{Recompute, recompute};
use crate::state::State;
use crate::store::profiles;

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
