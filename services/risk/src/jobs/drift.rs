//! A model whose clients are no longer those it learned from, that is no longer calibrated, of which nothing becomes known any
//! more, or that has fallen silent, is told of.

use bus::NewEvent;
use common::contracts::DriftDetected;

use crate::error::Error;
use crate::state::State;
use crate::store::drift_alerts::{self, Alert};

/// Opens, keeps and closes alerts; returns how many were told of.
pub(crate) async fn round(state: &State) -> Result<u64, Error> {
    let tx = state.db.begin_worker().await?;
    let told = drift_alerts::settle(
        &tx,
        &state.drift.limits,
        state.drift.told_again_hours,
        state.clock.fixed(),
    )
    .await?;
    let events = told.iter().map(event).collect::<Result<Vec<_>, _>>()?;
    state.outbox.enqueue(&tx, events);
    tx.commit().await?;
    for alert in &told {
        tracing::warn!(
            alert_id = alert.alert_id,
            model_name = alert.model_name,
            model_version = alert.model_version,
            kind = alert.kind,
            feature_name = alert.feature_name,
            measure = alert.measure,
            "a model has drifted"
        );
    }
    Ok(told.len() as u64)
}

fn event(alert: &Alert) -> Result<NewEvent, Error> {
    let data = DriftDetected {
        alert_id: alert.alert_id,
        model_name: alert.model_name.clone(),
        model_version: alert.model_version.clone(),
        kind: alert.kind.clone(),
        feature_name: alert.feature_name.clone(),
        measure: alert.measure,
        limit: alert.limit,
        opened_at: alert.opened_at,
    };
    Ok(NewEvent::of(None, &data)?)
}
