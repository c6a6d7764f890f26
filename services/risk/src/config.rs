//! What the risk service finds in its environment.

mod drift;

use ::config::Env;
use service::{Term, Variables};

pub(crate) use self::drift::DriftConfig;

/// The names of its variables.
pub(crate) const VARIABLES: Variables = Variables {
    name: "risk",
    program: "recoverly-risk",
    database_url: "RECOVERLY_RISK_DATABASE_URL",
    listen: "RECOVERLY_RISK_LISTEN",
    port: 8083,
};

/// For how many days the risk service keeps what, and what it tells of.
#[derive(Clone, Debug)]
pub struct Config {
    /// Predictions of models, after they were made, and the snapshots of features that they were made of.
    pub prediction_days: i32,
    /// Other snapshots of features, after what they are of.
    pub snapshot_days: i32,
    /// What came of clients, after it happened: at the least as long as the predictions that are labelled by it.
    pub outcome_days: i32,
    /// From when on a model is said to have drifted.
    pub drift: DriftConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            prediction_days: 365,
            snapshot_days: 365,
            outcome_days: 731,
            drift: DriftConfig::default(),
        }
    }
}

impl Config {
    /// Reads it from the environment; `None` where a fault was recorded.
    pub(crate) fn read(env: &mut Env) -> Option<Self> {
        let default = Self::default();
        Some(Self {
            prediction_days: env.within(
                "RECOVERLY_MODEL_PREDICTIONS_DAYS",
                default.prediction_days,
                90..=Term::MAX_DAYS,
                "days for which predictions of models are kept, with the features that they were made of",
            ),
            snapshot_days: env.within(
                "RECOVERLY_FEATURE_SNAPSHOTS_DAYS",
                default.snapshot_days,
                31..=Term::MAX_DAYS,
                "days for which snapshots of features are kept that no prediction was made of",
            ),
            outcome_days: env.within(
                "RECOVERLY_OUTCOMES_DAYS",
                default.outcome_days,
                365..=Term::MAX_DAYS,
                "days for which outcomes are kept; never shorter than the predictions that are labelled by them",
            ),
            drift: DriftConfig::read(env),
        })
    }

    /// The same as the job takes it.
    pub(crate) fn terms(&self) -> Vec<Term> {
        vec![
            Term::of_oldest(
                "risk.model_predictions",
                "prediction_id",
                "greatest(o.predicted_at, o.created_at)",
                self.prediction_days,
            ),
            Term::of_oldest(
                "risk.feature_snapshots",
                "snapshot_id",
                "not exists (select from risk.model_predictions p where p.snapshot_id = o.snapshot_id)
                     and greatest(o.captured_at, o.created_at)",
                self.snapshot_days,
            ),
            Term::of_oldest(
                "risk.outcomes",
                "outcome_id",
                "greatest(o.occurred_at, o.reported_at)",
                self.outcome_days.max(self.prediction_days),
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_term_is_set_that_is_shorter_than_what_is_counted_by_it() {
        for (name, least) in [
            ("RECOVERLY_MODEL_PREDICTIONS_DAYS", 90),
            ("RECOVERLY_FEATURE_SNAPSHOTS_DAYS", 31),
            ("RECOVERLY_OUTCOMES_DAYS", 365),
        ] {
            for (days, is_refused) in [(least, false), (least - 1, true)] {
                let mut env = Env::from_pairs(&[(name, &days.to_string())]);
                let config = Config::read(&mut env);
                assert_eq!(env.finish(|| config).is_err(), is_refused, "{name}");
            }
        }
    }
}
