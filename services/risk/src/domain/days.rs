//! A client's scores by day.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use common::{MICROS, Probability};

use super::level::Reading;

/// The scores of a day, UTC.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Day {
    pub(crate) day: NaiveDate,
    pub(crate) count: u64,
    pub(crate) mean: f64,
    pub(crate) max: Probability,
}

/// The days that have scores, the earliest first.
pub(crate) fn days(readings: &[Reading]) -> Vec<Day> {
    let mut sums: BTreeMap<NaiveDate, (u64, u64, Probability)> = BTreeMap::new();
    for reading in readings {
        let (sum, count, max) = sums.entry(reading.at.date_naive()).or_default();
        *sum += u64::from(reading.score.micros());
        *count += 1;
        *max = reading.score.max(*max);
    }
    sums.into_iter()
        .map(|(day, (sum, count, max))| Day {
            day,
            count,
            mean: sum as f64 / (count as f64 * f64::from(MICROS)),
            max,
        })
        .collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn reading(at: &str, score: f64) -> Reading {
        Reading {
            at: at.parse().unwrap(),
            score: Probability::new(score).unwrap(),
        }
    }

    #[test]
    fn scores_of_a_day_are_one_point_and_days_without_any_are_none() {
        let found = days(&[
            reading("2026-06-15T00:00:00Z", 0.5),
            reading("2026-06-12T23:59:59Z", 0.3),
            reading("2026-06-15T23:59:59Z", 0.7),
        ]);
        let found: Vec<(String, u64, f64, f64)> = found
            .iter()
            .map(|day| (day.day.to_string(), day.count, day.mean, day.max.as_f64()))
            .collect();
        assert_eq!(
            found,
            [
                ("2026-06-12".to_owned(), 1, 0.3, 0.3),
                ("2026-06-15".to_owned(), 2, 0.6, 0.7)
            ]
        );
    }
}
