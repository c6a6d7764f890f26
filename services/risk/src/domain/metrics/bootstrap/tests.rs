//! What of an interval can be said without computing one.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use super::*;

fn rows(rows: &[(u32, f64, bool)]) -> Vec<Labelled<u32>> {
    let labelled = |(client, score, positive): &(u32, f64, bool)| Labelled {
        client: *client,
        score: Probability::new(*score).unwrap(),
        positive: *positive,
    };
    rows.iter().map(labelled).collect()
}

fn plan(seed: u64) -> Plan {
    Plan::new(200, seed).unwrap()
}

fn of(rows: Vec<Labelled<u32>>, seed: u64) -> Intervals {
    intervals(rows, Probability::new(0.5).unwrap(), plan(seed)).unwrap()
}

fn metric(found: &Intervals, wanted: Metric) -> Result<Interval, Undefined> {
    found.iter().find(|(metric, _)| *metric == wanted).unwrap().1
}

/// Of 20 clients every third relapses; each has three predictions.
fn cohort() -> Vec<Labelled<u32>> {
    let cohort: Vec<_> = (0..60_u32)
        .map(|row| (row % 20, f64::from(row * 37 % 100) / 100.0, row % 20 % 3 == 0))
        .collect();
    rows(&cohort)
}

#[test]
fn the_same_seed_gives_the_same_intervals_in_whatever_order_the_rows_come() {
    let mut reversed = cohort();
    reversed.reverse();
    assert_eq!(of(cohort(), 1), of(reversed, 1));
    assert_ne!(of(cohort(), 1), of(cohort(), 2));
}

#[test]
fn an_interval_is_around_its_estimate() {
    for (metric, found) in of(cohort(), 3) {
        let found = found.unwrap();
        assert!(
            found.low <= found.estimate && found.low < found.high,
            "{metric:?} {found:?}"
        );
    }
}

/// Were predictions drawn one by one, twenty more of each would make the interval narrow.
#[test]
fn more_predictions_of_the_same_clients_do_not_make_surer() {
    let repeated: Vec<_> = cohort().into_iter().flat_map(|row| vec![row; 20]).collect();
    let (once, often) = (of(cohort(), 4), of(repeated, 4));
    assert_eq!(
        metric(&once, Metric::Brier).unwrap().low,
        metric(&often, Metric::Brier).unwrap().low
    );
    assert_eq!(metric(&once, Metric::Auroc), metric(&often, Metric::Auroc));
}

#[test]
fn one_client_says_nothing_about_others() {
    let found = of(rows(&[(1, 0.2, false), (1, 0.9, true)]), 1);
    assert_eq!(metric(&found, Metric::Brier), Err(Undefined::OneClient));
    assert_eq!(
        metric(&of(Vec::new(), 1), Metric::Brier),
        Err(Undefined::NoLabels)
    );
}

#[test]
fn a_measure_that_most_resamples_do_not_have_has_no_interval() {
    // The only client who relapses is missing in a third of the resamples.
    let found = of(rows(&[(1, 0.2, false), (2, 0.9, true), (3, 0.4, false)]), 1);
    assert_eq!(metric(&found, Metric::Auroc), Err(Undefined::RareClass));
    assert!(metric(&found, Metric::Brier).is_ok());
}

#[test]
fn a_version_does_not_differ_from_itself() {
    use super::super::pairing::{Dated, pairs};
    let dated: Vec<_> = (0_i64..)
        .zip(cohort())
        .map(|(day, row)| Dated {
            client: row.client,
            predicted_at: chrono::DateTime::UNIX_EPOCH + chrono::TimeDelta::days(day),
            score: row.score,
            positive: row.positive,
        })
        .collect();
    let threshold = Probability::new(0.5).unwrap();
    let found = differences(&pairs(&dated, &dated), (threshold, threshold), plan(1)).unwrap();
    for (metric, found) in found {
        let found = found.unwrap();
        assert_eq!(
            (found.estimate, found.low, found.high),
            (0.0, 0.0, 0.0),
            "{metric:?}"
        );
    }
}

#[test]
fn resamples_and_predictions_are_bounded() {
    assert_eq!(Plan::new(RESAMPLES_MIN - 1, 0), None);
    assert_eq!(Plan::new(RESAMPLES_MAX + 1, 0), None);
    assert_eq!(plan(9).seed(), 9);
    assert_eq!(plan(9).resamples(), 200);
    let many = [(1, 0.5, true)].repeat(PREDICTIONS_MAX + 1);
    let found = intervals(rows(&many), Probability::default(), plan(1));
    assert_eq!(found, Err(Undefined::TooMany));
}
