//! Settling the levels of clients by what live models said of them last, and saying which changed.

use std::collections::HashSet;

use bus::NewEvent;
use chrono::{DateTime, Utc};
use common::LevelCause;
use common::contracts::RiskLevelChanged;
use db::Tx;

use crate::error::Error;
use crate::store::client_levels::{self, Change};

/// What settling led to.
#[derive(Default)]
pub(crate) struct Levels {
    /// `risk.level.changed` of each client whose level it changed.
    pub(crate) events: Vec<NewEvent>,
    /// Predictions that are the last word of their live version on a client, and last: all others are history.
    pub(crate) current: HashSet<i64>,
}

/// Settles the levels of these clients anew, with what this transaction has stored; their rows stay locked. Those who are
/// unknown or no clients are passed over. One round trip, however many they are.
pub(crate) async fn settle_levels(
    tx: &Tx,
    users: &[&str],
    cause: LevelCause,
    now: Option<DateTime<Utc>>,
) -> Result<Levels, Error> {
    let mut levels = Levels::default();
    if users.is_empty() {
        return Ok(levels);
    }
    for settled in client_levels::settle(tx, users, cause, now).await? {
        levels.current.extend(settled.current);
        if let Some(change) = settled.change {
            levels.events.push(changed(settled.user_id, change)?);
        }
    }
    Ok(levels)
}

fn changed(user_id: String, change: Change) -> Result<NewEvent, Error> {
    let (to, by) = match change.to {
        Some(level) => (Some(level.level), Some(level)),
        None => (None, None),
    };
    let data = RiskLevelChanged {
        user_id: user_id.clone(),
        from: change.from,
        to,
        since: change.since,
        cause: change.cause,
        prediction_id: by.as_ref().map(|level| level.prediction_id),
        probability: by.as_ref().map(|level| level.probability),
        predicted_at: by.as_ref().map(|level| level.predicted_at),
        model_version: by.as_ref().map(|level| level.model_version.clone()),
        model_name: by.map(|level| level.model_name),
    };
    Ok(NewEvent::of(Some(user_id), &data)?)
}
