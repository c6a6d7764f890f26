//! From when on a model is said to have drifted.

use ::config::Env;

use crate::store::drift_alerts::Limits;

/// A fall of the share of labelled predictions, from one month to the next, that is told of.
const LABELLED_SHARE_FALL: f64 = 0.2;

/// The limits, and how often what is past them is told again.
#[derive(Clone, Debug)]
pub struct DriftConfig {
    pub(crate) limits: Limits,
    pub(crate) told_again_hours: i32,
}

impl Default for DriftConfig {
    fn default() -> Self {
        Self {
            limits: Limits {
                psi: 0.2,
                ece: 0.1,
                labelled_share_fall: LABELLED_SHARE_FALL,
                // Many models speak once a day, and not on the minute.
                silent_minutes: 26 * 60,
                // Two windows of so many that are alike are 0.09 apart on average, of ten bins.
                predictions_min: 200,
            },
            told_again_hours: 24,
        }
    }
}

impl DriftConfig {
    /// Reads it from the environment; what is missing there was recorded as a fault.
    pub(super) fn read(env: &mut Env) -> Self {
        let Self {
            limits,
            told_again_hours,
        } = Self::default();
        Self {
            limits: Limits {
                psi: env.within(
                    "RECOVERLY_DRIFT_PSI",
                    limits.psi,
                    0.01..=10.0,
                    "stability index of a score or feature above which a model is said to have drifted",
                ),
                ece: env.within(
                    "RECOVERLY_DRIFT_ECE",
                    limits.ece,
                    0.01..=1.0,
                    "calibration error above which a model is said to have lost its calibration",
                ),
                silent_minutes: env.within(
                    "RECOVERLY_SILENT_MODEL_MINUTES",
                    limits.silent_minutes,
                    5..=43_200,
                    "minutes without a prediction after which a live model is said to be silent",
                ),
                predictions_min: env.within(
                    "RECOVERLY_DRIFT_PREDICTIONS_MIN",
                    limits.predictions_min,
                    20..=1_000_000,
                    "predictions of a month below which no drift is told of",
                ),
                ..limits
            },
            told_again_hours: env.within(
                "RECOVERLY_DRIFT_TOLD_AGAIN_HOURS",
                told_again_hours,
                1..=720,
                "hours after which a drift that lasts is told of again",
            ),
        }
    }
}
