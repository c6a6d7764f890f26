//! Rehearsals: an escalation that nobody is behind, once a night, by the way that real ones go.

use chrono::{DateTime, TimeDelta, Utc};
use common::{EscalationType, Urgency};
use serde_json::json;

use crate::domain::escalation::Trigger;

/// What the id of an account for rehearsals begins with: no client in need is taken for one.
pub(crate) const ID_PREFIX: &str = "drill-";
/// Within so many minutes everybody who was told must have been reached.
pub(crate) const MINUTES: i64 = 10;
/// A rehearsal that could not begin on time begins within so many hours, or not that night.
const WINDOW_HOURS: i64 = 3;

/// The rehearsal before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Last {
    pub(crate) escalation_id: i64,
    pub(crate) begun_at: DateTime<Utc>,
    pub(crate) is_open: bool,
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Wait,
    Begin,
    /// This one has had its time.
    Judge(i64),
}

/// What is to be done for rehearsals at an hour (UTC).
pub(crate) fn step(last: Option<Last>, hour: u32, now: DateTime<Utc>) -> Step {
    if let Some(last) = last.filter(|last| last.is_open) {
        return if now >= last.begun_at + TimeDelta::minutes(MINUTES) {
            Step::Judge(last.escalation_id)
        } else {
            Step::Wait
        };
    }
    let today = now.date_naive().and_hms_opt(hour, 0, 0).map(|at| at.and_utc());
    let is_due = today.is_some_and(|today| {
        (today..today + TimeDelta::hours(WINDOW_HOURS)).contains(&now)
            && last.is_none_or(|last| last.begun_at < today)
    });
    if is_due { Step::Begin } else { Step::Wait }
}

/// What rehearsals are raised by.
pub(crate) fn trigger(client: &str) -> Trigger {
    Trigger {
        user_id: client.to_owned(),
        escalation_type: EscalationType::Drill,
        urgency: Urgency::Low,
        risk_score: None,
        risk_level: "DRILL".to_owned(),
        reason: "A rehearsal: nobody is in need. It ends by itself.".to_owned(),
        data: json!([]),
    }
}

/// Whom a rehearsal told, and whom of them it did not reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) told: i64,
    pub(crate) missed: i64,
}

impl Verdict {
    /// Somebody was told, and everybody who was, was reached.
    pub(crate) fn is_good(self) -> bool {
        self.told > 0 && self.missed == 0
    }

    /// For the record.
    pub(crate) fn words(self) -> String {
        format!(
            "The rehearsal is over: {} told, {} of them not reached.",
            self.told, self.missed
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap_or_default()
    }

    fn last(begun_at: &str, is_open: bool) -> Option<Last> {
        Some(Last {
            escalation_id: 7,
            begun_at: at(begun_at),
            is_open,
        })
    }

    #[test]
    fn a_rehearsal_begins_once_a_night_and_is_judged_ten_minutes_later() {
        for (before, now, expected) in [
            (None, "2026-06-15T02:59:59Z", Step::Wait),
            (None, "2026-06-15T03:00:00Z", Step::Begin),
            (None, "2026-06-15T05:59:59Z", Step::Begin),
            (None, "2026-06-15T06:00:00Z", Step::Wait),
            (
                last("2026-06-15T03:00:00Z", true),
                "2026-06-15T03:09:59Z",
                Step::Wait,
            ),
            (
                last("2026-06-15T03:00:00Z", true),
                "2026-06-15T03:10:00Z",
                Step::Judge(7),
            ),
            (
                last("2026-06-15T03:00:00Z", false),
                "2026-06-15T03:20:00Z",
                Step::Wait,
            ),
            (
                last("2026-06-15T03:00:00Z", false),
                "2026-06-16T03:00:00Z",
                Step::Begin,
            ),
            (
                last("2026-06-15T03:00:00Z", true),
                "2026-06-16T03:00:00Z",
                Step::Judge(7),
            ),
        ] {
            assert_eq!(step(before, 3, at(now)), expected, "{before:?} at {now}");
        }
    }

    #[test]
    fn a_rehearsal_that_told_nobody_has_failed() {
        assert!(!Verdict { told: 0, missed: 0 }.is_good());
        assert!(!Verdict { told: 2, missed: 1 }.is_good());
        assert!(Verdict { told: 2, missed: 0 }.is_good());
    }
}
