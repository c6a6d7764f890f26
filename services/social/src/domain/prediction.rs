//! What a pipeline says about one message.

use chrono::{DateTime, Utc};
use common::{MICROS, Probability};

/// The scores of one message, each a probability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scores {
    pub(crate) p_craving: Probability,
    pub(crate) p_relapse: Probability,
    pub(crate) p_negative_mood: Probability,
    pub(crate) p_neutral: Probability,
    pub(crate) p_toxic: Probability,
    pub(crate) p_isolation: Probability,
}

impl Scores {
    /// The risk score where the pipeline gives none: the greatest of craving, relapse and 0.7 of negative mood.
    pub(crate) fn default_risk_score(&self) -> Probability {
        // Tenths of millionths, rounded half up: as exact as the input.
        let mood_micros = (self.p_negative_mood.micros() * 7 + 5) / 10;
        let mood = Probability::from_micros(i64::from(mood_micros.min(MICROS))).unwrap_or_default();
        self.p_craving.max(self.p_relapse).max(mood)
    }
}

/// A prediction as it came in: valid by itself, its message not looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewPrediction {
    pub(crate) message_id: i64,
    pub(crate) model_version: String,
    /// When the model said so; the database's clock where the pipeline does not say.
    pub(crate) timestamp: Option<DateTime<Utc>>,
    pub(crate) scores: Scores,
    pub(crate) risk_score: Probability,
    /// The trace of the request it came in: gathered with others it is stored outside of it.
    pub(crate) traceparent: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p(value: f64) -> Probability {
        Probability::new(value).unwrap_or_default()
    }

    #[test]
    fn the_default_risk_score_is_the_greatest_of_craving_relapse_and_most_of_the_mood() {
        let scores = |craving, relapse, mood| Scores {
            p_craving: p(craving),
            p_relapse: p(relapse),
            p_negative_mood: p(mood),
            p_neutral: p(0.0),
            p_toxic: p(1.0),
            p_isolation: p(1.0),
        };
        assert_eq!(scores(0.5, 0.2, 0.1).default_risk_score(), p(0.5));
        assert_eq!(scores(0.1, 0.6, 0.1).default_risk_score(), p(0.6));
        assert_eq!(scores(0.1, 0.2, 1.0).default_risk_score(), p(0.7));
        assert_eq!(scores(0.0, 0.0, 0.123_455).default_risk_score(), p(0.086_419));
    }
}
