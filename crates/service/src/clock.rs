//! The time that rules and jobs go by.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

/// Where "now" comes from: the database's clock, or in tests a time that is stepped by hand.
///
/// Statements take [`Clock::fixed`] as a parameter and write `coalesce($n, now())`, so that all replicas go by one
/// clock.
#[derive(Clone, Debug, Default)]
pub struct Clock(Option<Arc<Mutex<DateTime<Utc>>>>);

impl Clock {
    /// The database's clock.
    #[must_use]
    pub fn database() -> Self {
        Self(None)
    }

    /// A clock that stands still until it is moved.
    #[must_use]
    pub fn standing_at(now: DateTime<Utc>) -> Self {
        Self(Some(Arc::new(Mutex::new(now))))
    }

    /// The time, where it is given by hand.
    #[must_use]
    pub fn fixed(&self) -> Option<DateTime<Utc>> {
        self.0
            .as_ref()
            .map(|time| *time.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Moves a standing clock; the database's clock is not ours to move.
    pub fn advance(&self, by: TimeDelta) {
        if let Some(time) = &self.0 {
            *time.lock().unwrap_or_else(PoisonError::into_inner) += by;
        }
    }
}
