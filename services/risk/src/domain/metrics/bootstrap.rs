//! How sure a measure is: 95 % intervals from resamples of clients.
//!
//! The predictions of a client are not independent, so clients are drawn, with replacement, and each brings all of its
//! predictions. A resample is a weight per client and one pass over the sorted scores. The same data and seed give the
//! same intervals: clients are numbered in order of their keys, and the stream of PCG64 never changes.

use common::Probability;
use rand_pcg::Pcg64;
use rand_pcg::rand_core::Rng;

use super::fold::{Fold, Point};
use super::pairing::Pair;
use super::quantile::quantile;
use super::{Measured, Measures, Metric, Undefined};

/// Fewer would say nothing about the 2.5 % at either end.
pub(crate) const RESAMPLES_MIN: u32 = 100;
pub(crate) const RESAMPLES_MAX: u32 = 2_000;
/// Predictions of all clients together.
pub(crate) const PREDICTIONS_MAX: usize = 100_000;
/// The ends of the interval as shares of the resamples.
const ENDS: [f64; 2] = [0.025, 0.975];
/// In so many tenths of the resamples a measure must be defined: intervals from the rest would be of luckier data.
const DEFINED_TENTHS_MIN: usize = 9;
/// The stream of the generator. Changing it changes every interval that was recorded.
const STREAM: u128 = 0;

/// How to resample: recorded beside the intervals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    resamples: u32,
    seed: u64,
}

impl Plan {
    /// `None` with too few or too many resamples.
    pub(crate) fn new(resamples: u32, seed: u64) -> Option<Self> {
        (RESAMPLES_MIN..=RESAMPLES_MAX)
            .contains(&resamples)
            .then_some(Self { resamples, seed })
    }

    pub(crate) fn resamples(self) -> u32 {
        self.resamples
    }

    pub(crate) fn seed(self) -> u64 {
        self.seed
    }
}

/// A prediction whose label is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Labelled<K> {
    pub(crate) client: K,
    pub(crate) score: Probability,
    pub(crate) positive: bool,
}

/// A measure and where it may as well be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Interval {
    pub(crate) estimate: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// In how many resamples the measure is defined.
    pub(crate) defined: usize,
}

/// The interval of each measure, or why there is none.
pub(crate) type Intervals = Vec<(Metric, Result<Interval, Undefined>)>;

/// The intervals of one version; a prediction at or over the threshold is an alert.
///
/// # Errors
/// When there are too many predictions.
pub(crate) fn intervals<K: Ord + Clone>(
    predictions: Vec<Labelled<K>>,
    threshold: Probability,
    plan: Plan,
) -> Result<Intervals, Undefined> {
    let sample = Sample::new(predictions)?;
    Ok(resampled(sample.clients, plan, |weights, metric_values| {
        let measures = sample.measures(weights, threshold);
        metric_values.extend(Metric::ALL.map(|metric| measures.get(metric)));
    }))
}

/// The intervals of the difference second − first of two versions over the same clients and days. Both are measured
/// on the same drawn clients, so that what makes a client easy or hard to predict falls out. The thresholds are the
/// versions' own.
///
/// # Errors
/// When there are too many pairs.
pub(crate) fn differences<K: Ord + Clone>(
    pairs: &[Pair<K>],
    thresholds: (Probability, Probability),
    plan: Plan,
) -> Result<Intervals, Undefined> {
    let first = Sample::new(pairs.iter().map(Pair::first).collect())?;
    let second = Sample::new(pairs.iter().map(Pair::second).collect())?;
    Ok(resampled(first.clients, plan, |weights, metric_values| {
        let first = first.measures(weights, thresholds.0);
        let second = second.measures(weights, thresholds.1);
        metric_values.extend(Metric::ALL.map(|metric| Ok(second.get(metric)? - first.get(metric)?)));
    }))
}

/// Measures once with every client, then with drawn ones.
fn resampled(clients: usize, plan: Plan, measure: impl Fn(&[u32], &mut Vec<Measured>)) -> Intervals {
    let mut weights = vec![1; clients];
    let mut estimates = Vec::with_capacity(Metric::ALL.len());
    measure(&weights, &mut estimates);
    let mut resamples: Vec<Vec<f64>> = vec![Vec::new(); Metric::ALL.len()];
    if clients > 1 {
        let mut draws = Pcg64::new(plan.seed.into(), STREAM);
        let mut values = Vec::with_capacity(Metric::ALL.len());
        for _ in 0..plan.resamples {
            draw(&mut draws, &mut weights);
            values.clear();
            measure(&weights, &mut values);
            for (resamples, value) in resamples.iter_mut().zip(&values) {
                resamples.extend(value);
            }
        }
    }
    let found = estimates.into_iter().zip(resamples);
    Metric::ALL
        .into_iter()
        .zip(found.map(|(estimate, values)| interval(estimate?, values, clients, plan)))
        .collect()
}

fn interval(estimate: f64, mut values: Vec<f64>, clients: usize, plan: Plan) -> Result<Interval, Undefined> {
    if clients < 2 {
        return Err(Undefined::OneClient);
    }
    if values.len() * 10 < plan.resamples as usize * DEFINED_TENTHS_MIN {
        return Err(Undefined::RareClass);
    }
    values.sort_by(f64::total_cmp);
    let [low, high] = ENDS.map(|share| quantile(&values, share).ok_or(Undefined::RareClass));
    Ok(Interval {
        estimate,
        low: low?,
        high: high?,
        defined: values.len(),
    })
}

/// Draws as many clients as there are, with replacement: a weight is how often one was drawn.
fn draw(draws: &mut Pcg64, weights: &mut [u32]) {
    weights.fill(0);
    let clients = weights.len() as u128;
    for _ in 0..weights.len() {
        // The high half of the product: no client is likelier than another by more than clients / 2^64. Written here,
        // as what a crate draws from a range may change with its version.
        let at = (u128::from(draws.next_u64()) * clients) >> 64;
        if let Some(weight) = weights.get_mut(at as usize) {
            *weight += 1;
        }
    }
}

/// Labelled predictions in falling order of score.
struct Sample {
    clients: usize,
    /// A score, and how many of the rows have it.
    scores: Vec<(Point, usize)>,
    rows: Vec<Row>,
}

struct Row {
    client: u32,
    positive: bool,
}

impl Sample {
    fn new<K: Ord + Clone>(mut predictions: Vec<Labelled<K>>) -> Result<Self, Undefined> {
        if predictions.len() > PREDICTIONS_MAX {
            return Err(Undefined::TooMany);
        }
        let mut keys: Vec<K> = predictions.iter().map(|row| row.client.clone()).collect();
        keys.sort_unstable();
        keys.dedup();
        predictions.sort_by_key(|row| std::cmp::Reverse(row.score));
        let scores = predictions
            .chunk_by(|one, next| one.score == next.score)
            .filter_map(|same| Some((Point::new(same.first()?.score), same.len())))
            .collect();
        let number = |key: &K| keys.binary_search(key).ok().and_then(|at| u32::try_from(at).ok());
        let rows = predictions
            .iter()
            .filter_map(|row| {
                Some(Row {
                    client: number(&row.client)?,
                    positive: row.positive,
                })
            })
            .collect();
        Ok(Self {
            clients: keys.len(),
            scores,
            rows,
        })
    }

    fn measures(&self, weights: &[u32], threshold: Probability) -> Measures {
        let mut fold = Fold::new(threshold);
        let mut rows = self.rows.iter();
        for (point, count) in &self.scores {
            let (mut negatives, mut positives) = (0, 0);
            for row in rows.by_ref().take(*count) {
                let weight = u64::from(weights.get(row.client as usize).copied().unwrap_or(0));
                if row.positive {
                    positives += weight;
                } else {
                    negatives += weight;
                }
            }
            fold.push(point, negatives, positives);
        }
        fold.measures(Undefined::NoLabels)
    }
}

#[cfg(test)]
mod tests;
