//! After a version became live, or is so no longer, the levels of all clients of whom it has said anything are settled anew:
//! page after page, each in a transaction of its own, going on where the last one ended.

use common::LevelCause;

use crate::error::Error;
use crate::ops::settle_levels::settle_levels;
use crate::state::State;
use crate::store::stage_settlings;

/// Clients of one round, and so of one transaction.
const MAX_CLIENTS: i64 = 500;

/// Settles the next page; returns how many clients it holds.
pub(crate) async fn round(state: &State) -> Result<u64, Error> {
    let now = state.clock.fixed();
    let tx = state.db.begin_worker().await?;
    let Some(settling) = stage_settlings::lock_due(&tx, now).await? else {
        tx.commit().await?;
        return Ok(0);
    };
    let clients = stage_settlings::next_clients(&tx, &settling, MAX_CLIENTS).await?;
    if let Some(last) = clients.last() {
        let users: Vec<&str> = clients.iter().map(String::as_str).collect();
        // The reference to the last of them comes first: whoever erases that client holds the account before the level.
        stage_settlings::go_on_behind(&tx, &settling, last).await?;
        let levels = settle_levels(&tx, &users, LevelCause::Stage, now).await?;
        state.outbox.enqueue(&tx, levels.events);
    } else {
        stage_settlings::end_pass(&tx, &settling).await?;
    }
    tx.commit().await?;
    Ok(clients.len() as u64)
}
