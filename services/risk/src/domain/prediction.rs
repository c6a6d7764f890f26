//! What a model says of a client, and of which features it says so.

use chrono::{DateTime, Utc};
use common::Probability;
use serde_json::Value;

use super::explanation::{Contribution, Link, NotAdditive, adds_up, rank};
use super::feature::FeatureSet;
use super::outcome::Horizon;
use super::snapshot::{Features, NewSnapshot};

/// Ways to explain a prediction.
pub(crate) const METHODS: &[&str] = &["shap", "lime", "permutation", "other"];
/// The one whose contributions add up to the prediction.
pub(crate) const SHAP: &str = "shap";

/// A prediction as it came in: valid by itself, nothing looked up.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NewPrediction {
    pub(crate) user_id: String,
    pub(crate) made_of: MadeOf,
    pub(crate) model_name: String,
    pub(crate) model_version: String,
    /// By default now.
    pub(crate) predicted_at: Option<DateTime<Utc>>,
    pub(crate) horizon: Horizon,
    pub(crate) probability: Probability,
    pub(crate) metadata: Option<Value>,
    pub(crate) explanations: Vec<NewExplanation>,
}

/// What the model was told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum MadeOf {
    /// A snapshot that was stored before.
    Snapshot(i64),
    /// One that comes with the prediction.
    Features(NewSnapshot),
}

impl MadeOf {
    pub(crate) fn stored(&self) -> Option<i64> {
        match self {
            Self::Snapshot(id) => Some(*id),
            Self::Features(_) => None,
        }
    }
}

/// What one method says that a prediction is made of.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NewExplanation {
    pub(crate) method: &'static str,
    pub(crate) base_value: Option<f64>,
    pub(crate) link: Option<Link>,
    pub(crate) contributions: Vec<NewContribution>,
}

/// One feature's part, with the value that the pipeline saw, where it says so.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NewContribution {
    pub(crate) feature: String,
    pub(crate) value: Option<Value>,
    pub(crate) contribution: f64,
}

/// An explanation that was held against what it explains: the greatest contribution first.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Explanation {
    pub(crate) method: &'static str,
    pub(crate) base_value: Option<f64>,
    pub(crate) link: Option<Link>,
    pub(crate) ranked: Vec<Contribution>,
}

/// What is wrong, and where in the prediction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// A JSON pointer.
    pub(crate) pointer: String,
    pub(crate) detail: String,
}

impl NewPrediction {
    /// Its explanations, by the features that it was made of.
    ///
    /// # Errors
    /// All that is not of the feature set, not of the snapshot, or does not add up.
    pub(crate) fn explained(
        &self,
        set: &FeatureSet,
        features: &Features,
    ) -> Result<Vec<Explanation>, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut explained = Vec::with_capacity(self.explanations.len());
        for (index, explanation) in self.explanations.iter().enumerate() {
            let at = format!("/explanations/{index}");
            match explanation.held_against(set, features, self.probability, &at) {
                Ok(explanation) => explained.push(explanation),
                Err(found) => faults.extend(found),
            }
        }
        if faults.is_empty() {
            Ok(explained)
        } else {
            Err(faults)
        }
    }
}

impl NewExplanation {
    fn held_against(
        &self,
        set: &FeatureSet,
        features: &Features,
        probability: Probability,
        at: &str,
    ) -> Result<Explanation, Vec<Fault>> {
        let mut faults: Vec<Fault> = self
            .contributions
            .iter()
            .enumerate()
            .filter_map(|(index, given)| given.fault(set, features, &format!("{at}/contributions/{index}")))
            .collect();
        let mut ranked: Vec<Contribution> = self
            .contributions
            .iter()
            .map(|given| Contribution {
                feature: given.feature.clone(),
                contribution: given.contribution,
            })
            .collect();
        if self.method == SHAP
            && let (Some(base), Some(link)) = (self.base_value, self.link)
            && let Err(refused) = adds_up(base, &ranked, probability, link)
        {
            faults.push(Fault {
                pointer: at.to_owned(),
                detail: told(refused, probability, link),
            });
        }
        rank(&mut ranked);
        if faults.is_empty() {
            Ok(Explanation {
                method: self.method,
                base_value: self.base_value,
                link: self.link,
                ranked,
            })
        } else {
            Err(faults)
        }
    }
}

impl NewContribution {
    fn fault(&self, set: &FeatureSet, features: &Features, at: &str) -> Option<Fault> {
        let Some(feature) = set.get(&self.feature) else {
            return Some(Fault {
                pointer: format!("{at}/feature"),
                detail: format!("is no feature of {}", set.version),
            });
        };
        let held = features.get(&self.feature).unwrap_or(&Value::Null);
        let detail = match feature.read(self.value.clone()?) {
            Ok(value) if value == *held => return None,
            Ok(value) => format!("is {value}, and {held} in the snapshot"),
            Err(fault) => fault,
        };
        Some(Fault {
            pointer: format!("{at}/value"),
            detail,
        })
    }
}

fn told(refused: NotAdditive, probability: Probability, link: Link) -> String {
    match refused {
        NotAdditive::NotFinite => "base_value and contributions add up to no finite number".to_owned(),
        NotAdditive::Off { sum, difference } => format!(
            "base_value and contributions add up to {sum:.6} in {}, which is off the prediction of {} by {difference:+.6}; at most 0.001 is allowed",
            link.unit(),
            probability.as_f64()
        ),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::domain::feature::Feature;
    use serde_json::json;

    fn explained(explanation: NewExplanation, probability: f64) -> Result<Vec<String>, Vec<String>> {
        let features: Vec<Feature> = serde_json::from_value(json!([
            {"name": "a", "type": "number", "nullable": true, "subgroup": false, "texts": {}},
            {"name": "b", "type": "boolean", "nullable": false, "subgroup": false, "texts": {}},
        ]))
        .unwrap();
        let set = FeatureSet::new("v1".to_owned(), features);
        let Value::Object(features) = json!({"a": 1.0, "b": true}) else {
            panic!("an object")
        };
        let probability = Probability::new(probability).unwrap();
        explanation
            .held_against(&set, &features, probability, "")
            .map(|held| held.ranked.into_iter().map(|part| part.feature).collect())
            .map_err(|faults| {
                let told = |fault: Fault| format!("{} {}", fault.pointer, fault.detail);
                faults.into_iter().map(told).collect()
            })
    }

    fn shap(base: f64, contributions: &[(&str, Option<Value>, f64)]) -> NewExplanation {
        NewExplanation {
            method: SHAP,
            base_value: Some(base),
            link: Some(Link::Identity),
            contributions: contributions
                .iter()
                .map(|(feature, value, contribution)| NewContribution {
                    feature: (*feature).to_owned(),
                    value: value.clone(),
                    contribution: *contribution,
                })
                .collect(),
        }
    }

    #[test]
    fn contributions_are_ranked_by_size_whatever_their_sign() {
        let parts = [("a", None, 0.1), ("b", None, -0.2)];
        assert_eq!(
            explained(shap(0.5, &parts), 0.4),
            Ok(vec!["b".to_owned(), "a".to_owned()])
        );
    }

    #[test]
    fn a_value_may_be_written_otherwise_but_must_be_that_of_the_snapshot() {
        let with = |value| explained(shap(0.5, &[("a", Some(value), 0.0)]), 0.5);
        assert!(with(json!(1)).is_ok() && with(json!(1.0)).is_ok());
        assert_eq!(
            with(json!(2)),
            Err(vec![
                "/contributions/0/value is 2.0, and 1.0 in the snapshot".to_owned()
            ])
        );
        assert_eq!(
            with(json!(null)),
            Err(vec![
                "/contributions/0/value is null, and 1.0 in the snapshot".to_owned()
            ])
        );
    }

    #[test]
    fn all_faults_are_told_at_once_with_by_how_much_it_is_off() {
        let parts = [("c", None, 0.25), ("b", Some(json!(1)), 0.0)];
        assert_eq!(
            explained(shap(0.5, &parts), 0.5),
            Err(vec![
                "/contributions/0/feature is no feature of v1".to_owned(),
                "/contributions/1/value must be true or false".to_owned(),
                " base_value and contributions add up to 0.750000 in probability, which is off the prediction of 0.5 \
                 by +0.250000; at most 0.001 is allowed"
                    .to_owned(),
            ])
        );
    }

    #[test]
    fn other_methods_need_not_add_up() {
        let mut explanation = shap(0.5, &[("a", None, 3.0)]);
        explanation.method = "lime";
        assert!(explained(explanation, 0.1).is_ok());
    }
}
