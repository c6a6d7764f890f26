//! Audit rows are sealed into the chain, and the copy of the chain outside Postgres is brought up to it.

use crate::error::Error;
use crate::ops::anchor_seals::append_newest;
use crate::state::State;
use crate::store::audit;

/// Rows of one seal.
const MAX_SEALED_ROWS: i64 = 5_000;
/// Seals what waits and anchors it; says how many rows, where more may wait. A seal is anchored after its commit: one in
/// the anchor that Postgres does not have would look like one that was cut off. What a crash left is anchored first.
pub(crate) async fn round(state: &State) -> Result<u64, Error> {
    anchor(state).await?;
    let sealed = seal(state).await?;
    anchor(state).await?;
    let is_full = sealed == MAX_SEALED_ROWS.unsigned_abs();
    Ok(if is_full { sealed } else { 0 })
}

async fn anchor(state: &State) -> Result<(), Error> {
    append_newest(&state.db, &state.anchor, &state.seal_key).await
}

async fn seal(state: &State) -> Result<u64, Error> {
    let tx = state.db.begin_worker().await?;
    if !audit::become_sealer(&tx).await? {
        tx.rollback().await?;
        return Ok(0);
    }
    let last = audit::last_link(&tx).await?;
    if state.anchor.last_seq().await.map_err(Error::Anchor)? != Some(last.seq) {
        // Another process has sealed and not anchored yet; where it is more than that, the next round says so.
        tx.rollback().await?;
        return Ok(0);
    }
    let Some(taken) = audit::take_unsealed(&tx, MAX_SEALED_ROWS).await? else {
        tx.rollback().await?;
        return Ok(0);
    };
    if taken.vanished > 0 {
        tracing::error!(
            rows = taken.vanished,
            "audit rows vanished before they were sealed"
        );
    }
    let seal = state
        .seal_key
        .seal(last, &taken.rows_hash, taken.first_at, taken.last_at);
    audit::insert_seal(&tx, &seal, &taken).await?;
    tx.commit().await?;
    Ok(taken.event_ids.len() as u64)
}
