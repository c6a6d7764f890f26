//! The measures beside scikit-learn's and by their laws.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::Deserialize;

use super::bootstrap::{self, Intervals, Labelled, Plan};
use super::histogram::{Bucket, Counts, Label, NeverCounted};
use super::pairing::{Dated, pairs};
use super::stability::{self, Numbers};
use super::*;

/// `tests/metrics/reference.py` says how these came about.
const REFERENCE: &str = include_str!("../../../tests/metrics/reference.json");
const TOLERANCE: f64 = 1e-9;

#[derive(Deserialize)]
struct Reference {
    labelled: Vec<LabelledCase>,
    numbers: Vec<Window<f64>>,
    categories: Vec<Window<String>>,
    bootstrap: Vec<BootstrapCase>,
}

type Named<T> = BTreeMap<String, Option<T>>;

#[derive(Deserialize)]
struct LabelledCase {
    name: String,
    threshold: i64,
    scores: Vec<i64>,
    labels: Vec<u8>,
    expected: Named<f64>,
    bins: Vec<(u64, Option<f64>, Option<f64>)>,
}

#[derive(Deserialize)]
struct Window<T> {
    name: String,
    reference: Vec<Option<T>>,
    current: Vec<Option<T>>,
    psi: f64,
}

#[derive(Deserialize)]
struct BootstrapCase {
    name: String,
    seed: u64,
    resamples: u32,
    thresholds: (i64, i64),
    clients: Vec<u32>,
    labels: Vec<u8>,
    first: Vec<i64>,
    second: Vec<i64>,
    intervals: Named<ExpectedInterval>,
    differences: Named<ExpectedInterval>,
}

#[derive(Deserialize)]
struct ExpectedInterval {
    estimate: f64,
    low: f64,
    high: f64,
    defined: usize,
}

fn reference() -> Reference {
    serde_json::from_str(REFERENCE).unwrap()
}

fn p(micros: i64) -> Probability {
    Probability::from_micros(micros).unwrap()
}

fn label(positive: bool) -> Label {
    if positive {
        Label::Positive
    } else {
        Label::Negative
    }
}

fn histogram(predictions: impl IntoIterator<Item = (Probability, Label)>) -> Histogram {
    let mut histogram = Histogram::default();
    for (score, label) in predictions {
        histogram.add(score, label);
    }
    histogram
}

fn name(metric: Metric) -> &'static str {
    match metric {
        Metric::Prevalence => "prevalence",
        Metric::Brier => "brier",
        Metric::LogLoss => "log_loss",
        Metric::CalibrationError => "calibration_error",
        Metric::Auroc => "auroc",
        Metric::AveragePrecision => "average_precision",
        Metric::Precision => "precision",
        Metric::Recall => "recall",
    }
}

fn near(found: Option<f64>, expected: Option<f64>) -> bool {
    match (found, expected) {
        (Some(found), Some(expected)) => (found - expected).abs() <= TOLERANCE,
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

#[test]
fn measures_are_those_of_scikit_learn() {
    for case in reference().labelled {
        let labelled = case.scores.iter().zip(&case.labels);
        let histogram = histogram(labelled.map(|(score, positive)| (p(*score), label(*positive == 1))));
        let found = Metrics::of(&histogram, p(case.threshold));
        for metric in Metric::ALL {
            let (found, expected) = (found.measures.get(metric), case.expected[name(metric)]);
            assert!(
                near(found.ok(), expected),
                "{}: {metric:?} is {found:?}, not {expected:?}",
                case.name
            );
        }
        for (bin, (count, score, rate)) in found.bins.0.iter().zip(&case.bins) {
            assert_eq!(bin.count, *count, "{}", case.name);
            assert!(
                near(bin.mean_score(), *score) && near(bin.observed_rate(), *rate),
                "{}",
                case.name
            );
        }
        assert_eq!(found.bins.0.len(), case.bins.len());
    }
}

#[test]
fn stability_is_what_the_definition_says() {
    let reference = reference();
    for case in reference.numbers {
        let [before, now] = [case.reference, case.current].map(|values| Numbers::new(values).unwrap());
        let found = stability::of_numbers(&before, &now);
        assert!(
            near(found.ok(), Some(case.psi)),
            "{}: {found:?}, not {}",
            case.name,
            case.psi
        );
    }
    for case in reference.categories {
        let [before, now] = [case.reference, case.current].map(|values| {
            values.into_iter().fold(BTreeMap::new(), |mut counts, value| {
                *counts.entry(value).or_insert(0) += 1;
                counts
            })
        });
        let found = stability::of_categories(&before, &now);
        assert!(
            near(found.ok(), Some(case.psi)),
            "{}: {found:?}, not {}",
            case.name,
            case.psi
        );
    }
}

fn assert_intervals(case: &str, found: &Intervals, expected: &Named<ExpectedInterval>) {
    for (metric, found) in found {
        let expected = expected[name(*metric)].as_ref();
        let same = match (found, expected) {
            (Ok(found), Some(expected)) => {
                near(Some(found.estimate), Some(expected.estimate))
                    && near(Some(found.low), Some(expected.low))
                    && near(Some(found.high), Some(expected.high))
                    && found.defined == expected.defined
            }
            (Err(_), None) => true,
            (Ok(_), None) | (Err(_), Some(_)) => false,
        };
        assert!(same, "{case}: {metric:?} {found:?}");
    }
    assert_eq!(found.len(), expected.len());
}

/// With the same draws of PCG64, which numpy has too: a change of the stream would be seen here.
#[test]
fn intervals_are_those_of_scikit_learn_on_the_same_resamples() {
    for case in reference().bootstrap {
        let plan = Plan::new(case.resamples, case.seed).unwrap();
        let version = |scores: &[i64]| -> Vec<Labelled<u32>> {
            let rows = case.clients.iter().zip(scores).zip(&case.labels);
            rows.map(|((client, score), positive)| Labelled {
                client: *client,
                score: p(*score),
                positive: *positive == 1,
            })
            .collect()
        };
        let thresholds = (p(case.thresholds.0), p(case.thresholds.1));
        let (first, second) = (version(&case.first), version(&case.second));
        let found = bootstrap::intervals(first.clone(), thresholds.0, plan).unwrap();
        assert_intervals(&case.name, &found, &case.intervals);

        let dated = |rows: &[Labelled<u32>]| -> Vec<Dated<u32>> {
            // Every row is a day of its own.
            let day = |at: usize| chrono::DateTime::UNIX_EPOCH + chrono::TimeDelta::days(at as i64);
            let dated = rows.iter().enumerate().map(|(at, row)| Dated {
                client: row.client,
                predicted_at: day(at),
                score: row.score,
                positive: row.positive,
            });
            dated.collect()
        };
        let pairs = pairs(&dated(&first), &dated(&second));
        let found = bootstrap::differences(&pairs, thresholds, plan).unwrap();
        assert_intervals(&case.name, &found, &case.differences);
    }
}

#[test]
fn what_cannot_be_measured_has_a_reason() {
    let reasons = |predictions: &[(i64, Label)]| {
        let rows = predictions.iter().map(|(score, label)| (p(*score), *label));
        let found = Metrics::of(&histogram(rows), p(500_000));
        let all = Metric::ALL.map(|metric| (metric, found.measures.get(metric).err()));
        let mut reasons: Vec<_> = all
            .into_iter()
            .filter_map(|(metric, reason)| Some((metric, reason?)))
            .collect();
        reasons.dedup_by_key(|(_, reason)| *reason);
        (found.labelled_share, reasons)
    };
    let (share, found) = reasons(&[]);
    assert_eq!(share, Err(Undefined::NoPredictions));
    assert_eq!(
        found,
        [(Metric::Prevalence, Undefined::NoPredictions)],
        "one reason for all"
    );
    let (share, found) = reasons(&[(900_000, Label::Unlabelled)]);
    assert_eq!(share, Ok(0.0));
    assert_eq!(
        found,
        [(Metric::Prevalence, Undefined::NoLabels)],
        "one reason for all"
    );
    let (_, found) = reasons(&[(900_000, Label::Negative)]);
    assert_eq!(found, [(Metric::Auroc, Undefined::NoPositives)]);
    let (share, found) = reasons(&[(400_000, Label::Positive), (900_000, Label::Unlabelled)]);
    assert_eq!(share, Ok(0.5));
    assert_eq!(
        found,
        [
            (Metric::Auroc, Undefined::NoNegatives),
            (Metric::Precision, Undefined::NoAlerts)
        ]
    );
}

#[test]
fn an_alert_is_at_or_over_the_threshold_labelled_or_not() {
    let found = Metrics::of(
        &histogram([
            (p(500_000), Label::Positive),
            (p(499_999), Label::Positive),
            (p(500_000), Label::Negative),
            (p(800_000), Label::Unlabelled),
        ]),
        p(500_000),
    );
    assert_eq!(
        (found.predictions, found.labelled, found.positives, found.alerts),
        (4, 3, 2, 3)
    );
    assert_eq!(
        (found.measures.precision, found.measures.recall),
        (Ok(0.5), Ok(0.5))
    );
}

#[test]
fn what_was_never_counted_cannot_be_taken_away() {
    let mut kept = histogram([(p(3), Label::Negative)]);
    let before = kept.clone();
    assert_eq!(kept.remove(p(3), Label::Positive), Err(NeverCounted));
    assert_eq!(kept.remove(p(4), Label::Negative), Err(NeverCounted));
    assert_eq!(
        kept.relabel(p(3), Label::Unlabelled, Label::Positive),
        Err(NeverCounted)
    );
    assert_eq!(kept, before);
    assert_eq!(kept.remove(p(3), Label::Negative), Ok(()));
    assert_eq!(kept, Histogram::default());
}

/// The definitions as one would write them down, over all predictions at once, by pairs where it must be.
fn directly(predictions: &[(Probability, Label)]) -> [Option<f64>; 4] {
    let labelled: Vec<(f64, f64)> = predictions
        .iter()
        .filter(|(_, label)| *label != Label::Unlabelled)
        .map(|(score, label)| (score.as_f64(), f64::from(u8::from(*label == Label::Positive))))
        .collect();
    let n = labelled.len() as f64;
    let some = |value: f64| (n > 0.0).then_some(value);
    let brier = labelled.iter().map(|(score, y)| (score - y).powi(2)).sum::<f64>() / n;
    let gaps = (0..10).map(|bin| {
        let of_bin = labelled
            .iter()
            .filter(|(score, _)| ((score * 10.0 + 1e-9) as i32).min(9) == bin);
        of_bin.map(|(score, y)| score - y).sum::<f64>().abs() / n
    });
    let scores_of = |y: f64| labelled.iter().filter(move |row| row.1 == y).map(|row| row.0);
    let pairs = scores_of(1.0).count() * scores_of(0.0).count();
    let wins = scores_of(1.0).flat_map(|high| {
        scores_of(0.0).map(move |low| match high.total_cmp(&low) {
            std::cmp::Ordering::Greater => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Less => 0.0,
        })
    });
    let precisions = scores_of(1.0).map(|threshold| {
        let over = |y: f64| scores_of(y).filter(|score| *score >= threshold).count() as f64;
        over(1.0) / (over(1.0) + over(0.0))
    });
    let positives = scores_of(1.0).count();
    [
        some(brier),
        some(gaps.sum()),
        (pairs > 0).then(|| wins.sum::<f64>() / pairs as f64),
        (positives > 0).then(|| precisions.sum::<f64>() / positives as f64),
    ]
}

fn predictions() -> impl Strategy<Value = Vec<(Probability, Label)>> {
    // Few distinct scores, so that ties are common; edges of bins, and both ends.
    let score = prop_oneof![
        prop::sample::select(vec![0, 1, 99_999, 100_000, 500_000, 999_999, 1_000_000]),
        0_i64..=1_000_000,
    ];
    let label = prop::sample::select(vec![Label::Negative, Label::Positive, Label::Unlabelled]);
    prop::collection::vec((score.prop_map(p), label), 0..60)
}

proptest! {
    #[test]
    fn measures_of_the_histogram_are_those_of_all_predictions(predictions in predictions()) {
        let found = Metrics::of(&histogram(predictions.clone()), p(500_000)).measures;
        let expected = directly(&predictions);
        for (found, expected) in [found.brier, found.calibration_error, found.auroc, found.average_precision]
            .into_iter()
            .zip(expected)
        {
            prop_assert!(near(found.ok(), expected), "{found:?}, not {expected:?}");
        }
    }

    #[test]
    fn a_histogram_does_not_know_in_what_order_predictions_came(
        (predictions, shuffled) in predictions().prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle()))
    ) {
        prop_assert_eq!(histogram(predictions), histogram(shuffled));
    }

    #[test]
    fn days_add_up_to_the_histogram_of_all(predictions in predictions(), day in 0_usize..60) {
        let (first, second) = predictions.split_at(day.min(predictions.len()));
        let (first, second) = (histogram(first.to_vec()), histogram(second.to_vec()));
        let all = histogram(predictions);
        prop_assert_eq!(&first.clone().merge(&second), &all);
        prop_assert_eq!(&second.merge(&first), &all);
    }

    #[test]
    fn rows_of_a_table_in_any_order_are_the_histogram(predictions in predictions()) {
        let one = |(score, label): &(Probability, Label)| Bucket {
            score: *score,
            counts: Counts {
                negatives: u64::from(*label == Label::Negative),
                positives: u64::from(*label == Label::Positive),
                unlabelled: u64::from(*label == Label::Unlabelled),
            },
        };
        prop_assert_eq!(Histogram::new(predictions.iter().map(one).collect()), histogram(predictions));
    }

    #[test]
    fn what_is_taken_away_was_never_there(kept in predictions(), removed in predictions()) {
        let mut found = histogram(kept.iter().chain(&removed).copied());
        for (score, label) in removed.into_iter().rev() {
            prop_assert_eq!(found.remove(score, label), Ok(()));
        }
        prop_assert_eq!(found, histogram(kept));
    }

    #[test]
    fn a_label_that_comes_late_or_changes_was_always_so(predictions in predictions(), last in predictions()) {
        let last: Vec<_> = predictions.iter().zip(&last).map(|((score, _), (_, label))| (*score, *label)).collect();
        let mut found = histogram(predictions[..last.len()].to_vec());
        for ((score, from), (_, to)) in predictions.iter().zip(&last) {
            prop_assert_eq!(found.relabel(*score, *from, *to), Ok(()));
        }
        prop_assert_eq!(found, histogram(last));
    }

    #[test]
    fn with_labels_flipped_auroc_is_its_complement_and_with_scores_mirrored_too(predictions in predictions()) {
        let flip = |label: Label| match label {
            Label::Negative => Label::Positive,
            Label::Positive => Label::Negative,
            Label::Unlabelled => Label::Unlabelled,
        };
        let mirror = |score: Probability| p(1_000_000 - i64::from(score.micros()));
        let measure = |rows: Vec<_>| Metrics::of(&histogram(rows), p(500_000)).measures;
        let straight = measure(predictions.clone());
        let flipped = measure(predictions.iter().map(|(score, label)| (*score, flip(*label))).collect());
        let mirrored = measure(predictions.iter().map(|(score, label)| (mirror(*score), flip(*label))).collect());
        let complement = straight.auroc.ok().map(|auroc| 1.0 - auroc);
        prop_assert!(near(flipped.auroc.ok(), complement));
        prop_assert!(near(mirrored.auroc.ok(), straight.auroc.ok()));
        // Both together change nothing about the errors.
        prop_assert_eq!(mirrored.brier, straight.brier);
        prop_assert!(near(mirrored.log_loss.ok(), straight.log_loss.ok()));
    }

    #[test]
    fn no_measure_is_ever_nan_infinite_or_out_of_range(predictions in predictions(), threshold in 0_i64..=1_000_000) {
        let found = Metrics::of(&histogram(predictions), p(threshold));
        for metric in Metric::ALL {
            if let Ok(value) = found.measures.get(metric) {
                let most = if metric == Metric::LogLoss { 36.1 } else { 1.0 + TOLERANCE };
                prop_assert!((0.0..=most).contains(&value), "{metric:?} {value}");
            }
        }
    }

    #[test]
    fn stability_is_zero_of_the_same_and_never_negative(
        reference in prop::collection::vec(prop::option::of(-5_i8..5), 1..80),
        current in prop::collection::vec(prop::option::of(-8_i8..8), 1..80),
    ) {
        let numbers = |values: &[Option<i8>]| Numbers::new(values.iter().map(|value| value.map(f64::from))).unwrap();
        let (reference, current) = (numbers(&reference), numbers(&current));
        prop_assert_eq!(stability::of_numbers(&reference, &reference), Ok(0.0));
        prop_assert!(stability::of_numbers(&reference, &current).unwrap() >= 0.0);
        prop_assert!(stability::Quantiles::of(&reference).counts(&current).len() <= 11);
    }
}
