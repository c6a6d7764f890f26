//! A level holds as long as the horizon of its prediction: those that have run out are settled anew.

use common::LevelCause;

use crate::error::Error;
use crate::ops::settle_levels::settle_levels;
use crate::state::State;
use crate::store::client_levels;

/// Clients of one round, and so of one transaction.
const MAX_CLIENTS: i64 = 500;

/// Settles what is due; returns how many.
pub(crate) async fn round(state: &State) -> Result<u64, Error> {
    let now = state.clock.fixed();
    let tx = state.db.begin_worker().await?;
    let due = client_levels::lock_due(&tx, now, MAX_CLIENTS).await?;
    let users: Vec<&str> = due.iter().map(String::as_str).collect();
    let levels = settle_levels(&tx, &users, LevelCause::Time, now).await?;
    state.outbox.enqueue(&tx, levels.events);
    tx.commit().await?;
    Ok(due.len() as u64)
}
