//! Escalations wait for an answer until somebody gives one. Tier after tier is told; an acknowledgement buys time, not
//! silence; and who comes on call, or to the client, while one is open is told of it as well.

use common::contracts::escalation;

use crate::error::Error;
use crate::ops::raise::{self, changed};
use crate::state::State;
use crate::store::tiers;

/// Escalations of one kind in one round, and so in one transaction.
const MAX_ESCALATIONS: i64 = 200;

/// Takes back acknowledgements that ran out, moves on what has waited long enough, and tells whoever does not know;
/// returns how many episodes moved and deliveries were made.
pub(crate) async fn round(state: &State) -> Result<u64, Error> {
    let now = state.clock.fixed();
    let tx = state.db.begin_worker().await?;
    let over = tiers::expire_leases(&tx, now, MAX_ESCALATIONS).await?;
    let mut events = Vec::new();
    for episode in &over {
        events.push(changed(escalation::NOTIFIED, episode)?);
    }
    let due = tiers::lock_due(&tx, now, MAX_ESCALATIONS).await?;
    events.extend(raise::advance(&tx, &due, now).await?.events);
    let untold = tiers::lock_untold(&tx, now, MAX_ESCALATIONS).await?;
    let told = raise::tell(&tx, &untold, now).await?;
    events.extend(told.events);
    state.outbox.enqueue(&tx, events);
    tx.commit().await?;
    Ok((over.len() + due.len()) as u64 + told.deliveries)
}
