//! Somebody is to be told at every hour: each hour the next 14 days are looked at for those at which nobody would be.

use crate::error::Error;
use crate::state::State;
use crate::store::coverage;

/// Looks ahead where that is due; returns how many policies it looked at.
pub(crate) async fn round(state: &State) -> Result<u64, Error> {
    let now = state.clock.fixed();
    let tx = state.db.begin_worker().await?;
    let looked_at = if coverage::is_due(&tx, now).await? {
        coverage::look_ahead(&tx, now).await?
    } else {
        0
    };
    tx.commit().await?;
    Ok(looked_at)
}
