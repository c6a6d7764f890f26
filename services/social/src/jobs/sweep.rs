//! Windows slide while nobody writes: profiles of which time has changed an input are computed anew, and all of them after
//! another policy was activated.

use std::collections::HashSet;

use db::Tx;

use crate::domain::profile::Standing;
use crate::error::Error;
use crate::ops::recompute::{Recompute, recompute};
use crate::state::State;
use crate::store::{policies, profiles, windows};

/// Profiles of one round, and so of one transaction.
const MAX_PROFILES: i64 = 500;

/// Recomputes what is due; returns how many.
pub(crate) async fn round(state: &State) -> Result<u64, Error> {
    let tx = state.db.begin_worker().await?;
    let mut standings = profiles::lock_due(&tx, state.clock.fixed(), MAX_PROFILES).await?;
    if standings.is_empty() {
        standings = lock_unjudged(state, &tx).await?;
    }
    let found = standings.len() as u64;
    if found == 0 {
        tx.commit().await?;
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

/// Profiles that another policy than the active one has judged. Once there are none, nobody looks for them any more.
async fn lock_unjudged(state: &State, tx: &Tx) -> Result<Vec<Standing>, db::Error> {
    let Some(version) = policies::unsettled(tx).await? else {
        return Ok(Vec::new());
    };
    let unjudged = profiles::lock_judged_otherwise(tx, &version, MAX_PROFILES).await?;
    if unjudged.is_empty() {
        policies::settle(tx, &version, state.clock.fixed()).await?;
    }
    Ok(unjudged)
}
