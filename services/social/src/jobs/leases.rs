//! An acknowledgement buys time, not silence: when it runs out without a contact, the escalation wants an answer
//! again.

use bus::NewEvent;
use common::contracts::escalation;

use crate::error::Error;
use crate::ops::raise::changed;
use crate::state::State;
use crate::store::escalations;

/// Escalations of one round, and so of one transaction.
const MAX_ESCALATIONS: i64 = 200;

/// Takes back what ran out; returns how many.
pub(crate) async fn round(state: &State) -> Result<u64, Error> {
    let tx = state.db.begin_worker().await?;
    let over = escalations::expire_leases(&tx, state.clock.fixed(), MAX_ESCALATIONS).await?;
    let events: Vec<NewEvent> = over
        .iter()
        .map(|episode| changed(escalation::NOTIFIED, episode))
        .collect::<Result<_, _>>()?;
    state.outbox.enqueue(&tx, events);
    tx.commit().await?;
    Ok(over.len() as u64)
}
