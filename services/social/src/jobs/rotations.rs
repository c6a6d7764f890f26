//! Shifts of rotations are written ahead: further each day, and anew where a member has left.

use crate::error::Error;
use crate::ops::fill_rotations::fill_rotations;
use crate::state::State;

/// Rotations of one round, and so of one transaction.
const MAX_ROTATIONS: i64 = 50;

/// Writes what is due; returns of how many rotations.
pub(crate) async fn round(state: &State) -> Result<u64, Error> {
    let tx = state.db.begin_worker().await?;
    let filled = fill_rotations(&tx, None, MAX_ROTATIONS, state.clock.fixed()).await?;
    tx.commit().await?;
    Ok(filled)
}
