//! The level of a score by its model version's thresholds, and where a client's scores are heading.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, Days, NaiveDate, TimeDelta, Utc};
use common::{MICROS, ModelRiskLevel, Probability, Trend};

/// With fewer scores in 30 days a trend is stable.
const TREND_SCORES_MIN: i128 = 5;
/// A mean that moved by more than this is a trend, in millionths.
const TREND_MARGIN_MICROS: i128 = 150_000;

/// A score of a client at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reading {
    pub(crate) at: DateTime<Utc>,
    pub(crate) score: Probability,
}

/// From which score on a level holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Thresholds {
    moderate: Probability,
    high: Probability,
    very_high: Probability,
}

/// Why thresholds are none. Both are judged in six decimals, as the scores they are held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ThresholdsRefused {
    /// The threshold of this level is not in (0, 1].
    OutOfRange(ModelRiskLevel),
    /// The threshold of this level is not above that of the level below.
    NotRising(ModelRiskLevel),
}

impl Thresholds {
    /// # Errors
    /// Unless 0 < moderate < high < `very_high` <= 1.
    pub(crate) fn new(moderate: f64, high: f64, very_high: f64) -> Result<Self, ThresholdsRefused> {
        let parse = |value, level| {
            Probability::new(value)
                .filter(|threshold| threshold.micros() > 0)
                .ok_or(ThresholdsRefused::OutOfRange(level))
        };
        let moderate = parse(moderate, ModelRiskLevel::Moderate)?;
        let high = parse(high, ModelRiskLevel::High)?;
        let very_high = parse(very_high, ModelRiskLevel::VeryHigh)?;
        if high <= moderate {
            return Err(ThresholdsRefused::NotRising(ModelRiskLevel::High));
        }
        if very_high <= high {
            return Err(ThresholdsRefused::NotRising(ModelRiskLevel::VeryHigh));
        }
        Ok(Self {
            moderate,
            high,
            very_high,
        })
    }

    /// A score that is equal to a threshold has reached it.
    pub(crate) fn level(&self, score: Probability) -> ModelRiskLevel {
        if score >= self.very_high {
            ModelRiskLevel::VeryHigh
        } else if score >= self.high {
            ModelRiskLevel::High
        } else if score >= self.moderate {
            ModelRiskLevel::Moderate
        } else {
            ModelRiskLevel::Low
        }
    }

    /// From here on a live model pages.
    pub(crate) fn very_high(&self) -> Probability {
        self.very_high
    }
}

/// The mean of the last 7 days, `(now - 7 days, now]`, against that of the 7 days before, by the margin that messages
/// have too: more than 0.15 up is declining, more than 0.15 down improving. Stable with fewer than 5 scores in 30 days
/// or none in either week. Never a rapid decline: the level says that, by the version's own thresholds.
pub(crate) fn trend(readings: &[Reading], now: DateTime<Utc>) -> Trend {
    let within = |after: i64, until: i64| {
        let (after, until) = (now - TimeDelta::days(after), now - TimeDelta::days(until));
        readings
            .iter()
            .filter(move |reading| reading.at > after && reading.at <= until)
            .fold((0, 0), |(sum, count): (i128, i128), reading| {
                (sum + i128::from(reading.score.micros()), count + 1)
            })
    };
    let ((last, last_count), (before, before_count)) = (within(7, 0), within(14, 7));
    if within(30, 0).1 < TREND_SCORES_MIN || last_count == 0 || before_count == 0 {
        return Trend::Stable;
    }
    // Multiplied crosswise, so that a difference of exactly the margin is stable.
    let delta = last * before_count - before * last_count;
    let margin = TREND_MARGIN_MICROS * last_count * before_count;
    if delta > margin {
        Trend::Declining
    } else if delta < -margin {
        Trend::Improving
    } else {
        Trend::Stable
    }
}

/// The scores of an ISO week (Monday to Sunday, UTC).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Week {
    pub(crate) monday: NaiveDate,
    pub(crate) count: u64,
    pub(crate) mean: f64,
}

/// The weeks that have scores, the earliest first.
pub(crate) fn weeks(readings: &[Reading]) -> Vec<Week> {
    let mut sums: BTreeMap<NaiveDate, (u64, u64)> = BTreeMap::new();
    for reading in readings {
        let day = reading.at.date_naive();
        let since_monday = u64::from(day.weekday().num_days_from_monday());
        // The calendar's first day is no Monday; whoever predicts then has a first week that begins on it.
        let monday = day.checked_sub_days(Days::new(since_monday)).unwrap_or(day);
        let (sum, count) = sums.entry(monday).or_default();
        *sum += u64::from(reading.score.micros());
        *count += 1;
    }
    sums.into_iter()
        .map(|(monday, (sum, count))| Week {
            monday,
            count,
            mean: sum as f64 / (count as f64 * f64::from(MICROS)),
        })
        .collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn p(value: f64) -> Probability {
        Probability::new(value).unwrap()
    }

    fn now() -> DateTime<Utc> {
        "2026-01-04T12:00:00Z".parse().unwrap()
    }

    fn reading(days_ago: i64, score: f64) -> Reading {
        Reading {
            at: now() - TimeDelta::days(days_ago),
            score: p(score),
        }
    }

    #[test]
    fn a_score_that_is_equal_to_a_threshold_has_reached_the_level() {
        let thresholds = Thresholds::new(0.3, 0.6, 0.85).unwrap();
        for (score, level) in [
            (0.0, ModelRiskLevel::Low),
            (0.299_999, ModelRiskLevel::Low),
            (0.3, ModelRiskLevel::Moderate),
            (0.6, ModelRiskLevel::High),
            (0.849_999, ModelRiskLevel::High),
            (0.85, ModelRiskLevel::VeryHigh),
            (1.0, ModelRiskLevel::VeryHigh),
        ] {
            assert_eq!(thresholds.level(p(score)), level, "{score}");
        }
        assert_eq!(thresholds.very_high(), p(0.85));
    }

    #[test]
    fn thresholds_rise_strictly_above_zero_up_to_one() {
        assert!(Thresholds::new(0.000_001, 0.5, 1.0).is_ok());
        let range = ThresholdsRefused::OutOfRange;
        let rising = ThresholdsRefused::NotRising;
        for (given, refused) in [
            ((0.0, 0.5, 0.9), range(ModelRiskLevel::Moderate)),
            ((0.000_000_1, 0.5, 0.9), range(ModelRiskLevel::Moderate)),
            ((f64::NAN, 0.5, 0.9), range(ModelRiskLevel::Moderate)),
            ((0.3, -0.5, 0.9), range(ModelRiskLevel::High)),
            ((0.3, 0.5, 1.1), range(ModelRiskLevel::VeryHigh)),
            ((0.5, 0.5, 0.9), rising(ModelRiskLevel::High)),
            ((0.3, 0.9, 0.8), rising(ModelRiskLevel::VeryHigh)),
            ((0.3, 0.8, 0.800_000_1), rising(ModelRiskLevel::VeryHigh)),
        ] {
            assert_eq!(
                Thresholds::new(given.0, given.1, given.2),
                Err(refused),
                "{given:?}"
            );
        }
    }

    #[test]
    fn a_trend_needs_more_than_the_margin() {
        for (last, before, expected) in [
            (0.45, 0.30, Trend::Stable),
            (0.450_001, 0.30, Trend::Declining),
            (0.30, 0.45, Trend::Stable),
            (0.30, 0.450_001, Trend::Improving),
            (1.0, 0.0, Trend::Declining),
        ] {
            let readings = [
                reading(0, last),
                reading(3, last),
                reading(6, last),
                reading(7, before),
                reading(13, before),
                reading(14, 0.5),
            ];
            assert_eq!(trend(&readings, now()), expected, "{last} after {before}");
        }
    }

    #[test]
    fn fewer_than_five_scores_in_thirty_days_or_an_empty_week_have_no_trend() {
        let four = [
            reading(1, 0.9),
            reading(2, 0.9),
            reading(8, 0.1),
            reading(9, 0.1),
            reading(30, 0.1),
        ];
        assert_eq!(trend(&four, now()), Trend::Stable);
        assert_eq!(
            trend(&[four.as_slice(), &[reading(29, 0.1)]].concat(), now()),
            Trend::Declining
        );
        assert_eq!(trend(&[reading(1, 0.9); 9], now()), Trend::Stable);
        assert_eq!(trend(&[reading(8, 0.9); 9], now()), Trend::Stable);
        assert_eq!(trend(&[], now()), Trend::Stable);
    }

    #[test]
    fn a_week_begins_on_monday_also_around_new_year() {
        // Sunday, the Monday before it, and the Sunday before that: 4 January, 29 and 28 December.
        let found = weeks(&[reading(0, 0.4), reading(6, 0.2), reading(7, 0.9)]);
        let week = |monday: &str, count, mean| Week {
            monday: monday.parse().unwrap(),
            count,
            mean,
        };
        assert_eq!(found, [week("2025-12-22", 1, 0.9), week("2025-12-29", 2, 0.3)]);
    }
}
