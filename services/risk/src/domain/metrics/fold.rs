//! One pass over scores in falling order: everything that is measured comes from it, for a histogram and for a resample.

use common::{MICROS, Probability};

use super::reliability::Bins;
use super::{Measured, Measures, Undefined, ratio};

/// How near to 0 and 1 a probability may be in the log loss: the machine epsilon of a double, as scikit-learn clips
/// the scores of doubles. A sure and wrong prediction costs 36.04, not infinity.
const CLIP: f64 = f64::EPSILON;

/// A score, and what it costs in log loss by what came of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    micros: u32,
    loss_if_negative: f64,
    loss_if_positive: f64,
}

impl Point {
    pub(super) fn new(score: Probability) -> Self {
        let loss = |micros: u32| {
            let probability = f64::from(micros) / f64::from(MICROS);
            -probability.clamp(CLIP, 1.0 - CLIP).ln()
        };
        Self {
            micros: score.micros(),
            loss_if_negative: loss(MICROS - score.micros()),
            loss_if_positive: loss(score.micros()),
        }
    }
}

/// Sums over labelled predictions. All but two are integers, so that no order rounds differently; those two are
/// always added in the order of the scores.
#[derive(Clone, Debug)]
pub(super) struct Fold {
    /// From this score on a prediction is an alert, in millionths.
    threshold_micros: u32,
    positives: u64,
    negatives: u64,
    /// Squared errors in millionths².
    squares: u128,
    losses: f64,
    /// Twice the pairs of a positive that is scored above a negative; a tie is half a pair.
    concordant_twice: u128,
    /// Of each positive the precision of the alerts down to its score.
    precisions: f64,
    alerts: u64,
    true_alerts: u64,
    pub(super) bins: Bins,
}

impl Fold {
    pub(super) fn new(threshold: Probability) -> Self {
        Self {
            threshold_micros: threshold.micros(),
            positives: 0,
            negatives: 0,
            squares: 0,
            losses: 0.0,
            concordant_twice: 0,
            precisions: 0.0,
            alerts: 0,
            true_alerts: 0,
            bins: Bins::default(),
        }
    }

    /// Adds the predictions of one score: scores come in falling order, each once.
    pub(super) fn push(&mut self, point: &Point, negatives: u64, positives: u64) {
        let count = negatives + positives;
        if count == 0 {
            return;
        }
        let (high, low) = (u128::from(point.micros), u128::from(MICROS - point.micros));
        self.squares += u128::from(negatives) * high * high + u128::from(positives) * low * low;
        self.losses += negatives as f64 * point.loss_if_negative + positives as f64 * point.loss_if_positive;
        self.concordant_twice += u128::from(negatives) * u128::from(2 * self.positives + positives);
        self.positives += positives;
        self.negatives += negatives;
        if positives > 0 {
            self.precisions += positives as f64 * ratio(self.positives.into(), self.labelled().into());
        }
        if point.micros >= self.threshold_micros {
            self.alerts += count;
            self.true_alerts += positives;
        }
        self.bins.push(point.micros, count, positives);
    }

    pub(super) fn labelled(&self) -> u64 {
        self.positives + self.negatives
    }

    pub(super) fn positives(&self) -> u64 {
        self.positives
    }

    /// What is measured; where there is no label at all, nothing is, for the reason given.
    pub(super) fn measures(&self, empty: Undefined) -> Measures {
        let labelled = self.labelled();
        let per = |count: u64, reason| if count == 0 { Err(reason) } else { Ok(count) };
        let any = |reason| if labelled == 0 { empty } else { reason };
        let n = per(labelled, empty);
        let positives = per(self.positives, any(Undefined::NoPositives));
        let negatives = per(self.negatives, any(Undefined::NoNegatives));
        let micros = u128::from(MICROS);
        let auroc = |positives: u64, negatives: u64| {
            let pairs = u128::from(positives) * u128::from(negatives);
            ratio(self.concordant_twice, 2 * pairs)
        };
        let precision: Measured = per(self.alerts, any(Undefined::NoAlerts))
            .map(|alerts| ratio(self.true_alerts.into(), alerts.into()));
        Measures {
            prevalence: n.map(|n| ratio(self.positives.into(), n.into())),
            brier: n.map(|n| ratio(self.squares, u128::from(n) * micros * micros)),
            log_loss: n.map(|n| self.losses / n as f64),
            calibration_error: n.map(|n| self.bins.calibration_error(n)),
            auroc: positives.and_then(|positives| Ok(auroc(positives, negatives?))),
            average_precision: positives.map(|positives| self.precisions / positives as f64),
            precision,
            recall: positives.map(|positives| ratio(self.true_alerts.into(), positives.into())),
        }
    }
}
