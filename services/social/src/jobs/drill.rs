//! Once a night an escalation that nobody is behind goes the way of real ones: a policy, tiers, pages. Whether it reached
//! everybody whom it told is seen ten minutes later, and then it ends.

use chrono::{DateTime, Utc};
use common::contracts::escalation;
use db::Tx;

use crate::domain::drill::{self, Step, Verdict};
use crate::domain::warning::Kind;
use crate::error::Error;
use crate::ops::raise::{changed, raise};
use crate::state::State;
use crate::store::{drills, escalations, operational_warnings};

/// Begins or judges the rehearsal of the night; returns whether it did, as a number. Without an account for it there is none.
pub(crate) async fn round(state: &State) -> Result<u64, Error> {
    let Some(client) = &state.watch.drill_client else {
        return Ok(0);
    };
    let tx = state.db.begin_worker().await?;
    let Some(now) = drills::lock(&tx, client, state.clock.fixed()).await? else {
        warn(&tx, Verdict { told: 0, missed: 0 }, state.clock.fixed()).await?;
        tx.commit().await?;
        return Ok(0);
    };
    let last = drills::last(&tx, client).await?;
    let done = match drill::step(last, state.watch.drill_hour, now) {
        Step::Wait => 0,
        Step::Begin => {
            let raised = raise(&tx, &[drill::trigger(client)], Some(now)).await?;
            state.outbox.enqueue(&tx, raised.events);
            1
        }
        Step::Judge(escalation_id) => {
            judge(&tx, state, escalation_id, now).await?;
            1
        }
    };
    tx.commit().await?;
    Ok(done)
}

async fn judge(tx: &Tx, state: &State, escalation_id: i64, now: DateTime<Utc>) -> Result<(), Error> {
    if escalations::lock(tx, escalation_id).await?.is_none() {
        return Ok(());
    }
    let verdict = drills::verdict(tx, escalation_id).await?;
    let over = escalations::cancel(tx, escalation_id, &verdict.words(), Some(now)).await?;
    state
        .outbox
        .enqueue(tx, vec![changed(escalation::CANCELLED, &over)?]);
    if verdict.is_good() {
        operational_warnings::close(tx, &[Kind::DrillFailed], Some(now)).await?;
    } else {
        warn(tx, verdict, Some(now)).await?;
    }
    Ok(())
}

async fn warn(tx: &Tx, verdict: Verdict, now: Option<DateTime<Utc>>) -> Result<(), Error> {
    let opened = operational_warnings::keep(tx, &[(Kind::DrillFailed, verdict.missed)], now).await?;
    if !opened.is_empty() {
        tracing::error!(
            told = verdict.told,
            missed = verdict.missed,
            "a rehearsal of escalations failed, or has no account to be about"
        );
    }
    Ok(())
}
