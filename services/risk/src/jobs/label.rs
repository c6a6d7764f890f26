//! Predictions whose horizon has passed are labelled by what came.

use crate::error::Error;
use crate::state::State;
use crate::store::labels;

/// Predictions of one round, and so of one transaction.
const MAX_PREDICTIONS: i64 = 1_000;

/// Settles what is due; returns how many. Of two at once, each takes what the other has not.
pub(crate) async fn round(state: &State) -> Result<u64, Error> {
    let tx = state.db.begin_worker().await?;
    let due = labels::lock_due(&tx, state.clock.fixed(), MAX_PREDICTIONS).await?;
    if !due.is_empty() {
        labels::settle(&tx, &due, state.clock.fixed()).await?;
    }
    tx.commit().await?;
    Ok(due.len() as u64)
}
