//! Escalations wait for an answer until somebody gives one: who comes on call, or to the client, while one is open is
//! told of it as well.

use crate::error::Error;
use crate::ops::raise::tell;
use crate::state::State;
use crate::store::escalations;

/// Escalations of one round, and so of one transaction.
const MAX_ESCALATIONS: i64 = 200;

/// Tells staff of what waits for an answer and they do not know of; returns how many people were told.
pub(crate) async fn round(state: &State) -> Result<u64, Error> {
    let tx = state.db.begin_worker().await?;
    let now = state.clock.fixed();
    let untold = escalations::lock_untold(&tx, MAX_ESCALATIONS, now).await?;
    let told = tell(&tx, &untold.iter().collect::<Vec<_>>(), now).await?;
    state.outbox.enqueue(&tx, told.events);
    tx.commit().await?;
    Ok(told.deliveries)
}
