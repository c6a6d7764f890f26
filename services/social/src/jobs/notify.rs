//! Escalations that nobody could be told of are tried again: somebody may have come on call since.

use crate::error::Error;
use crate::ops::raise::tell;
use crate::state::State;
use crate::store::escalations::{self, Escalation};

/// Escalations of one round, and so of one transaction.
const MAX_ESCALATIONS: i64 = 200;

/// Tells staff of what is pending; returns how many episodes somebody was told of.
pub(crate) async fn round(state: &State) -> Result<u64, Error> {
    let tx = state.db.begin_worker().await?;
    let pending = escalations::lock_pending(&tx, MAX_ESCALATIONS).await?;
    let pending: Vec<&Escalation> = pending.iter().collect();
    let events = tell(&tx, &pending).await?;
    state.outbox.enqueue(&tx, &events).await?;
    tx.commit().await?;
    if !events.is_empty() {
        state.outbox.wake();
    }
    Ok(events.len() as u64)
}
