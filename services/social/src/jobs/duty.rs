//! Shifts begin and end, and escalations open and close: those on duty see the clients of open ones, and nobody else does
//! for having been on duty.

use crate::error::Error;
use crate::state::State;
use crate::store::oncall_schedules;

/// Grants and ends access; returns how much of it came and went.
pub(crate) async fn round(state: &State) -> Result<u64, Error> {
    let tx = state.db.begin_worker().await?;
    let changed = oncall_schedules::settle(&tx, state.clock.fixed()).await?;
    tx.commit().await?;
    Ok(changed.unsigned_abs())
}
