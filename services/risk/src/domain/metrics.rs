//! How good a model's predictions are, by what came of them. Everything is a fold over a [`Histogram`], which is added
//! up over days: what is kept incrementally is equal to what is computed from all predictions.
//!
//! `histogram` is what is kept, `fold` the one pass over it, `reliability` its bins; `bootstrap` says how sure a measure
//! is, `stability` whether inputs are still those the model learned from.

pub(crate) mod bootstrap;
mod fold;
pub(crate) mod histogram;
pub(crate) mod pairing;
pub(crate) mod quantile;
pub(crate) mod reliability;
pub(crate) mod stability;

use common::Probability;

use self::fold::{Fold, Point};
use self::histogram::Histogram;
use self::reliability::Bins;

/// Why something cannot be measured. It is never NaN, and never a number that looks like one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Undefined {
    /// The window is empty.
    NoPredictions,
    /// There are predictions, and none has a label yet.
    NoLabels,
    /// Nobody relapsed.
    NoPositives,
    /// Everybody relapsed.
    NoNegatives,
    /// No labelled prediction reaches the threshold.
    NoAlerts,
    /// Nothing to compare with.
    NoReference,
    /// Nothing that is to be compared.
    NoCurrent,
    /// Resampling needs two clients.
    OneClient,
    /// In too many resamples the measure is not defined.
    RareClass,
    /// More predictions than are resampled in a request.
    TooMany,
}

/// A number, or why there is none.
pub(crate) type Measured = Result<f64, Undefined>;

/// What is measured of labelled predictions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Metric {
    Prevalence,
    Brier,
    LogLoss,
    CalibrationError,
    Auroc,
    AveragePrecision,
    Precision,
    Recall,
}

impl Metric {
    pub(crate) const ALL: [Self; 8] = [
        Self::Prevalence,
        Self::Brier,
        Self::LogLoss,
        Self::CalibrationError,
        Self::Auroc,
        Self::AveragePrecision,
        Self::Precision,
        Self::Recall,
    ];
}

/// The measures of labelled predictions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Measures {
    /// The share of positives.
    pub(crate) prevalence: Measured,
    /// Mean squared error.
    pub(crate) brier: Measured,
    /// In nats, scores clipped as scikit-learn does for doubles.
    pub(crate) log_loss: Measured,
    /// Expected calibration error over ten bins of equal width.
    pub(crate) calibration_error: Measured,
    /// The chance that a positive is scored above a negative, ties half.
    pub(crate) auroc: Measured,
    /// The area under precision and recall in steps, without interpolation.
    pub(crate) average_precision: Measured,
    /// Of the alerts, how many were positive.
    pub(crate) precision: Measured,
    /// Of the positives, how many were alerts.
    pub(crate) recall: Measured,
}

impl Measures {
    /// One of them.
    pub(crate) fn get(&self, metric: Metric) -> Measured {
        match metric {
            Metric::Prevalence => self.prevalence,
            Metric::Brier => self.brier,
            Metric::LogLoss => self.log_loss,
            Metric::CalibrationError => self.calibration_error,
            Metric::Auroc => self.auroc,
            Metric::AveragePrecision => self.average_precision,
            Metric::Precision => self.precision,
            Metric::Recall => self.recall,
        }
    }
}

/// A model version in a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Metrics {
    pub(crate) predictions: u64,
    pub(crate) labelled: u64,
    pub(crate) positives: u64,
    /// Predictions that reach the threshold, labelled or not.
    pub(crate) alerts: u64,
    pub(crate) labelled_share: Measured,
    pub(crate) measures: Measures,
    /// Of the labelled predictions.
    pub(crate) bins: Bins,
}

impl Metrics {
    /// Measures a window; a prediction whose score is at or over the threshold is an alert.
    pub(crate) fn of(histogram: &Histogram, threshold: Probability) -> Self {
        let mut fold = Fold::new(threshold);
        let (mut predictions, mut alerts) = (0, 0);
        for bucket in histogram.buckets().iter().rev() {
            let count = bucket.counts.total();
            predictions += count;
            if bucket.score >= threshold {
                alerts += count;
            }
            fold.push(
                &Point::new(bucket.score),
                bucket.counts.negatives,
                bucket.counts.positives,
            );
        }
        let (empty, share) = if predictions == 0 {
            (Undefined::NoPredictions, Err(Undefined::NoPredictions))
        } else {
            let share = ratio(fold.labelled().into(), u128::from(predictions));
            (Undefined::NoLabels, Ok(share))
        };
        Self {
            predictions,
            labelled: fold.labelled(),
            positives: fold.positives(),
            alerts,
            labelled_share: share,
            measures: fold.measures(empty),
            bins: fold.bins,
        }
    }
}

/// One division of two integers. The denominator is never zero.
fn ratio(numerator: u128, denominator: u128) -> f64 {
    numerator as f64 / denominator as f64
}

#[cfg(test)]
mod tests;
