//! Audit rows are sealed into the chain, and the copy of the chain outside Postgres is brought up to it.

use crate::domain::seal::Seal;
use crate::error::Error;
use crate::state::State;
use crate::store::audit;

/// Rows of one seal.
const MAX_SEALED_ROWS: i64 = 5_000;
/// Seals that one round appends to the anchor.
const MAX_ANCHORED_SEALS: i64 = 1_000;

/// Seals what waits and anchors it; says how many rows, where more may wait.
pub(crate) async fn round(state: &State) -> Result<u64, Error> {
    let sealed = seal(state).await?;
    anchor(state).await?;
    let is_full = sealed == MAX_SEALED_ROWS.unsigned_abs();
    Ok(if is_full { sealed } else { 0 })
}

async fn seal(state: &State) -> Result<u64, Error> {
    let tx = state.db.begin_worker().await?;
    if !audit::become_sealer(&tx).await? {
        tx.rollback().await?;
        return Ok(0);
    }
    let last = audit::last_link(&tx).await?;
    let known = state.anchor.last_seq().await.map_err(Error::Anchor)?;
    if known > last.seq {
        return Err(Error::AuditCutOff {
            anchored: known,
            stored: last.seq,
        });
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
    let seal = state.seal_key.seal(last, &taken.rows_hash);
    audit::insert_seal(&tx, &seal, &taken).await?;
    tx.commit().await?;
    Ok(taken.event_ids.len() as u64)
}

/// After the commit: a seal in the anchor that Postgres does not have would look like one that was cut off.
async fn anchor(state: &State) -> Result<(), Error> {
    let known = state.anchor.last_seq().await.map_err(Error::Anchor)?;
    let rows = state
        .db
        .worker_query(audit::SEALS, &[&known, &MAX_ANCHORED_SEALS])
        .await?;
    let seals = rows
        .iter()
        .map(audit::seal_from_row)
        .collect::<Result<Vec<Seal>, _>>()?;
    if let Some(forged) = seals.iter().find(|seal| !state.seal_key.made(seal)) {
        return Err(Error::SealForged(forged.seq));
    }
    if seals.is_empty() {
        return Ok(());
    }
    state.anchor.append(seals).await.map_err(Error::Anchor)
}
