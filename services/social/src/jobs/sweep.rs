//! Windows slide while nobody writes: profiles of which time has changed an input are computed anew.

use std::collections::HashSet;

use crate::error::Error;
use crate::ops::recompute::{Recompute, recompute};
use crate::state::State;
use crate::store::{policies, profiles, windows};

/// Profiles of one round, and so of one transaction.
const MAX_PROFILES: i64 = 500;

/// Recomputes what is due; returns how many.
pub(crate) async fn round(state: &State) -> Result<u64, Error> {
    let tx = state.db.begin_worker().await?;
    let standings = profiles::lock_due(&tx, state.clock.fixed(), MAX_PROFILES).await?;
    let found = standings.len() as u64;
    if found == 0 {
        tx.rollback().await?;
        return Ok(0);
    }
    let user_ids: Vec<&str> = standings
        .iter()
        .map(|standing| standing.user_id.as_str())
        .collect();
    let what = Recompute {
        policy: policies::active(&tx).await?,
        readings: windows::read(&tx, &user_ids, state.clock.fixed()).await?,
        standings,
        high_risk_evidence: HashSet::new(),
    };
    recompute(&tx, &state.outbox, what, Vec::new()).await?;
    tx.commit().await?;
    Ok(found)
}
