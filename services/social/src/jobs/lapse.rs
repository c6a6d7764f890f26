//! Consents to share with family that have run out, of which nobody tells: cards that waited on them have failed.

use crate::error::Error;
use crate::ops;
use crate::state::State;
use crate::store::family;

/// Consents of one round, and so of one transaction.
const MAX_CONSENTS: i64 = 200;

/// Ends what rests on them; returns how many there were.
pub(crate) async fn round(state: &State) -> Result<u64, Error> {
    let tx = state.db.begin_worker().await?;
    let over = family::run_out(&tx, MAX_CONSENTS).await?;
    let clients: Vec<&str> = over.iter().map(|(user_id, _)| user_id.as_str()).collect();
    let consents: Vec<i64> = over.iter().map(|(_, consent_id)| *consent_id).collect();
    ops::share::end(&tx, &state.outbox, &clients, &consents).await?;
    tx.commit().await?;
    Ok(over.len() as u64)
}
