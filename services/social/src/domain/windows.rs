//! What the rules count about one client: sums over sliding windows, exact to the microsecond.

use chrono::{DateTime, TimeDelta, Utc};
use common::{MICROS, Probability, Trend};

/// The profile's short window. The others stand in `domain::readings`, which counts them.
pub(crate) const SHORT_DAYS: i64 = 7;

/// With fewer predictions in the medium window a trend is stable.
const TREND_PREDICTIONS_MIN: i64 = 5;
/// A mean that moved by more than this is a trend, in millionths.
const TREND_MARGIN_MICROS: i128 = 150_000;
/// A maximum over the last two days from which on the decline is rapid, in millionths.
const RAPID_DECLINE_MICROS: u32 = 800_000;

/// Sums over the predictions of a window, in millionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) count: i64,
    pub(crate) risk_micros: i64,
    pub(crate) isolation_micros: i64,
}

impl Sums {
    /// The mean risk score; `None` for an empty window.
    pub(crate) fn mean_risk(&self) -> Option<f64> {
        mean(self.risk_micros, self.count)
    }

    /// The mean isolation; `None` for an empty window.
    pub(crate) fn mean_isolation(&self) -> Option<f64> {
        mean(self.isolation_micros, self.count)
    }
}

/// One division of two integers that a double holds exactly: the nearest double to the true mean, so that a mean
/// of exactly 0.3 is `>= 0.3`.
fn mean(micros: i64, count: i64) -> Option<f64> {
    #[expect(
        clippy::cast_precision_loss,
        reason = "below 2^53 for nine billion predictions"
    )]
    (count > 0).then(|| micros as f64 / (count as f64 * f64::from(MICROS)))
}

/// The client's own messages of the short window, scored or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Messages {
    pub(crate) total: i64,
    pub(crate) buddy: i64,
    pub(crate) counselor: i64,
    pub(crate) last_at: Option<DateTime<Utc>>,
    pub(crate) last_buddy_at: Option<DateTime<Utc>>,
}

/// Everything the rules count about one client at one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Windows {
    /// The instant the windows end at, by the database's clock.
    pub(crate) now: DateTime<Utc>,
    /// `(now - 7 days, now]`.
    pub(crate) short: Sums,
    /// `(now - 14 days, now - 7 days]`.
    pub(crate) before: Sums,
    /// `(now - 30 days, now]`.
    pub(crate) medium: Sums,
    /// Greatest risk score of the last two days.
    pub(crate) rapid_max: Option<Probability>,
    pub(crate) short_max: Option<Probability>,
    pub(crate) medium_max: Option<Probability>,
    pub(crate) short_high_risk_count: i64,
    pub(crate) short_toxic_incidents: i64,
    pub(crate) messages: Messages,
    /// The earliest instant at which a prediction or message enters or leaves a window.
    pub(crate) next_row_change_at: Option<DateTime<Utc>>,
}

impl Windows {
    /// The windows of a client who never wrote.
    pub(crate) fn empty(now: DateTime<Utc>) -> Self {
        Self {
            now,
            short: Sums::default(),
            before: Sums::default(),
            medium: Sums::default(),
            rapid_max: None,
            short_max: None,
            medium_max: None,
            short_high_risk_count: 0,
            short_toxic_incidents: 0,
            messages: Messages::default(),
            next_row_change_at: None,
        }
    }

    /// Whole days since the last own buddy message; `None` if there never was one.
    pub(crate) fn days_since_last_buddy_msg(&self) -> Option<i64> {
        self.messages.last_buddy_at.map(|at| (self.now - at).num_days())
    }

    /// Where the mean risk score is heading.
    pub(crate) fn risk_trend(&self) -> Trend {
        if !self.has_trend() {
            return Trend::Stable;
        }
        if self
            .rapid_max
            .is_some_and(|max| max.micros() >= RAPID_DECLINE_MICROS)
        {
            return Trend::RapidDecline;
        }
        trend(
            (self.short.risk_micros, self.short.count),
            (self.before.risk_micros, self.before.count),
        )
    }

    /// Where the mean isolation is heading; never a rapid decline.
    pub(crate) fn isolation_trend(&self) -> Trend {
        if !self.has_trend() {
            return Trend::Stable;
        }
        trend(
            (self.short.isolation_micros, self.short.count),
            (self.before.isolation_micros, self.before.count),
        )
    }

    fn has_trend(&self) -> bool {
        self.medium.count >= TREND_PREDICTIONS_MIN && self.short.count > 0 && self.before.count > 0
    }

    /// The earliest instant at which time alone changes an input of the profile.
    pub(crate) fn next_change_at(&self) -> Option<DateTime<Utc>> {
        let next_buddy_day = self
            .messages
            .last_buddy_at
            .zip(self.days_since_last_buddy_msg())
            .map(|(at, days)| at + TimeDelta::days(days + 1));
        self.next_row_change_at.into_iter().chain(next_buddy_day).min()
    }
}

/// Compares two means by cross-multiplication, so that a difference of exactly the margin is stable.
fn trend((now_micros, now_count): (i64, i64), (before_micros, before_count): (i64, i64)) -> Trend {
    let (now_count, before_count) = (i128::from(now_count), i128::from(before_count));
    let delta = i128::from(now_micros) * before_count - i128::from(before_micros) * now_count;
    let margin = TREND_MARGIN_MICROS * now_count * before_count;
    if delta > margin {
        Trend::Declining
    } else if delta < -margin {
        Trend::Improving
    } else {
        Trend::Stable
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn windows() -> Windows {
        Windows::empty(DateTime::UNIX_EPOCH + TimeDelta::days(20_000))
    }

    pub(crate) fn sums(count: i64, risk: f64) -> Sums {
        #[expect(clippy::cast_possible_truncation, reason = "test values are small")]
        let micros = (risk * 1e6).round() as i64;
        Sums {
            count,
            risk_micros: count * micros,
            isolation_micros: 0,
        }
    }

    #[test]
    fn a_difference_of_exactly_the_margin_is_stable() {
        for (short, before, expected) in [
            (0.45, 0.30, Trend::Stable),
            (0.450_001, 0.30, Trend::Declining),
            (0.30, 0.45, Trend::Stable),
            (0.30, 0.450_001, Trend::Improving),
        ] {
            let found = Windows {
                short: sums(3, short),
                before: sums(2, before),
                medium: sums(5, 0.3),
                ..windows()
            };
            assert_eq!(found.risk_trend(), expected, "{short} after {before}");
        }
    }

    #[test]
    fn fewer_than_five_predictions_or_an_empty_half_are_stable() {
        let rapid = Probability::new(0.9);
        let few = Windows {
            short: sums(3, 0.9),
            before: sums(1, 0.1),
            medium: sums(4, 0.7),
            rapid_max: rapid,
            ..windows()
        };
        assert_eq!(few.risk_trend(), Trend::Stable);
        let empty_half = Windows {
            short: sums(9, 0.9),
            medium: sums(9, 0.9),
            rapid_max: rapid,
            ..windows()
        };
        assert_eq!(empty_half.risk_trend(), Trend::Stable);
    }

    #[test]
    fn a_very_high_score_within_two_days_is_a_rapid_decline_of_risk_only() {
        let found = Windows {
            short: sums(3, 0.3),
            before: sums(2, 0.3),
            medium: sums(5, 0.3),
            rapid_max: Probability::new(0.8),
            ..windows()
        };
        assert_eq!(
            (found.risk_trend(), found.isolation_trend()),
            (Trend::RapidDecline, Trend::Stable)
        );
    }

    #[test]
    fn days_since_the_last_buddy_message_are_whole_days() {
        let mut found = windows();
        found.messages.last_buddy_at = Some(found.now - TimeDelta::days(6) + TimeDelta::microseconds(1));
        assert_eq!(found.days_since_last_buddy_msg(), Some(5));
        assert_eq!(
            found.next_change_at(),
            Some(found.now + TimeDelta::microseconds(1))
        );
        found.messages.last_buddy_at = Some(found.now - TimeDelta::days(6));
        assert_eq!(found.days_since_last_buddy_msg(), Some(6));
    }
}
