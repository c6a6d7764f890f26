//! The service watches itself: that predictions come, that staff on duty can be reached, that nothing waits too long. Of what
//! is not so one warning stands for as long as it is, and those who can see to it are told.

use crate::domain::warning::Kind;
use crate::error::Error;
use crate::state::State;
use crate::store::operational_warnings::{self as warnings, Limits};

/// Opens, keeps and closes warnings; returns how many were opened or closed.
pub(crate) async fn round(state: &State) -> Result<u64, Error> {
    let limits = Limits {
        silent_pipeline_minutes: state.watch.silent_pipeline_minutes,
        queue_lag_minutes: state.watch.queue_lag_minutes,
        pages_leave: state.paging.is_some(),
        repeat_hours: state.watch.repeat_hours,
    };
    let now = state.clock.fixed();
    let tx = state.db.begin_worker().await?;
    let found = warnings::find(&tx, limits, now).await?;
    let opened = warnings::keep(&tx, &found, now).await?;
    let is_found = |kind: &Kind| found.iter().any(|(known, _)| known == kind);
    let over: Vec<Kind> = Kind::WATCHED.into_iter().filter(|kind| !is_found(kind)).collect();
    let closed = warnings::close(&tx, &over, now).await?;
    warnings::tell(&tx, limits, now).await?;
    let open = warnings::open(&tx, limits, now).await?;
    tx.commit().await?;
    state.metrics.warnings(&open);
    for kind in &opened {
        tracing::warn!(kind, "an operational warning is open");
    }
    for warning in open.iter().filter(|warning| !warning.is_told) {
        tracing::error!(
            kind = warning.kind,
            "nobody can be told of an operational warning"
        );
    }
    Ok((opened.len() + closed.len()) as u64)
}
