//! What the windows of a client are counted from, and the counting.

use chrono::{DateTime, TimeDelta, Utc};
use common::Probability;

use super::policy::Thresholds;
use super::windows::{Messages, SHORT_DAYS, Sums, Windows};

/// The medium window: what is older counts nowhere. `store::windows` reads so far back.
pub(crate) const MEDIUM_DAYS: i64 = 30;
/// The window before the short one, which trends compare with, begins so long ago.
const BEFORE_DAYS: i64 = 14;
/// How far back a maximum makes a decline rapid.
const RAPID_DAYS: i64 = 2;

/// One prediction that counts, as far as the windows need it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scored {
    /// When the message was written.
    pub(crate) at: DateTime<Utc>,
    pub(crate) risk_score: Probability,
    pub(crate) isolation: Probability,
    pub(crate) craving: Probability,
    pub(crate) relapse: Probability,
    pub(crate) toxic: Probability,
}

/// What is read of one client at one instant, to be counted.
#[derive(Clone, Debug)]
pub(crate) struct Readings {
    /// The instant the windows end at, by the database's clock.
    pub(crate) now: DateTime<Utc>,
    pub(crate) messages: Messages,
    /// The earliest instant at which a message enters or leaves the short window.
    pub(crate) next_message_change_at: Option<DateTime<Utc>>,
    /// The predictions of at least the medium window, in any order.
    pub(crate) scored: Vec<Scored>,
}

impl Readings {
    /// Counts what was read; a window is open at its old end and closed at `now`.
    pub(crate) fn count(self, thresholds: &Thresholds) -> Windows {
        let now = self.now;
        let [rapid, short, before, medium] =
            [RAPID_DAYS, SHORT_DAYS, BEFORE_DAYS, MEDIUM_DAYS].map(TimeDelta::days);
        let mut windows = Windows {
            messages: self.messages,
            next_row_change_at: self.next_message_change_at,
            ..Windows::empty(now)
        };
        for scored in &self.scored {
            let at = scored.at;
            if at > now {
                windows.changes_at(at);
            } else if at > now - medium {
                windows.medium.add(scored);
                windows.medium_max = windows.medium_max.max(Some(scored.risk_score));
                windows.changes_at(at + medium);
                if at > now - short {
                    windows.add_short(scored, thresholds);
                    windows.changes_at(at + short);
                } else if at > now - before {
                    windows.before.add(scored);
                    windows.changes_at(at + before);
                }
                if at > now - rapid {
                    windows.rapid_max = windows.rapid_max.max(Some(scored.risk_score));
                    windows.changes_at(at + rapid);
                }
            }
        }
        windows
    }
}

impl Sums {
    fn add(&mut self, scored: &Scored) {
        self.count += 1;
        self.risk_micros += i64::from(scored.risk_score.micros());
        self.isolation_micros += i64::from(scored.isolation.micros());
    }
}

impl Windows {
    fn add_short(&mut self, scored: &Scored, thresholds: &Thresholds) {
        self.short.add(scored);
        self.short_max = self.short_max.max(Some(scored.risk_score));
        self.short_high_risk_count +=
            i64::from(thresholds.is_high_risk(scored.risk_score, scored.relapse, scored.craving));
        self.short_toxic_incidents += i64::from(scored.toxic >= thresholds.toxic);
    }

    fn changes_at(&mut self, at: DateTime<Utc>) {
        self.next_row_change_at = Some(self.next_row_change_at.map_or(at, |earlier| earlier.min(at)));
    }
}

#[cfg(test)]
mod tests {
    use super::super::windows::tests::windows;
    use super::*;

    fn thresholds() -> Thresholds {
        let [half, high] = [0.5, 0.7].map(|value| Probability::new(value).unwrap_or_default());
        Thresholds {
            high,
            mid: half,
            relapse: half,
            craving: half,
            toxic: high,
            iso: high,
            iso_escalate: high,
        }
    }

    /// A prediction of a message that is so old.
    fn scored(age: TimeDelta) -> Scored {
        let of = |value| Probability::new(value).unwrap_or_default();
        Scored {
            at: windows().now - age,
            risk_score: of(0.6),
            isolation: of(0.1),
            craving: of(0.5),
            relapse: of(0.0),
            toxic: of(0.7),
        }
    }

    fn counted(scored: Vec<Scored>) -> Windows {
        let readings = Readings {
            now: windows().now,
            messages: Messages::default(),
            next_message_change_at: None,
            scored,
        };
        readings.count(&thresholds())
    }

    #[test]
    fn a_window_is_open_at_its_old_end_and_closed_at_now() {
        let step = TimeDelta::microseconds(1);
        for (days, inside) in [
            (2, (1, 0, 1, true)),
            (7, (1, 0, 1, false)),
            (14, (0, 1, 1, false)),
            (30, (0, 0, 1, false)),
        ] {
            let outside = match days {
                2 => (1, 0, 1, false),
                7 => (0, 1, 1, false),
                14 => (0, 0, 1, false),
                _ => (0, 0, 0, false),
            };
            for (age, expected) in [
                (TimeDelta::days(days) - step, inside),
                (TimeDelta::days(days), outside),
            ] {
                let found = counted(vec![scored(age)]);
                let rapid = found.rapid_max.is_some();
                assert_eq!(
                    (found.short.count, found.before.count, found.medium.count, rapid),
                    expected,
                    "{age}"
                );
            }
        }
        assert_eq!(counted(vec![scored(TimeDelta::zero())]).short.count, 1);
        let ahead = counted(vec![scored(-step)]);
        assert_eq!(
            (ahead.medium.count, ahead.next_row_change_at),
            (0, Some(windows().now + step))
        );
    }

    #[test]
    fn what_changes_next_is_the_earliest_border_that_any_row_reaches() {
        let step = TimeDelta::microseconds(1);
        let found = counted(vec![
            scored(TimeDelta::days(1)),
            scored(TimeDelta::days(7) - step),
            scored(TimeDelta::days(20)),
        ]);
        assert_eq!(found.next_row_change_at, Some(windows().now + step));
        assert_eq!((found.short_high_risk_count, found.short_toxic_incidents), (2, 2));
    }
}
