//! Declared features: what a snapshot may hold, and what its values say in plain language.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

/// What a feature is: its name is unique in its set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Feature {
    pub(crate) name: String,
    #[serde(flatten)]
    pub(crate) kind: Kind,
    /// Whether a value may be null.
    pub(crate) nullable: bool,
    /// Whether models are measured for each of its values apart.
    pub(crate) subgroup: bool,
    pub(crate) texts: Texts,
}

/// The values that a feature may take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum Kind {
    Number {
        minimum: Option<f64>,
        maximum: Option<f64>,
    },
    Integer {
        minimum: Option<i64>,
        maximum: Option<i64>,
    },
    Boolean,
    Category {
        categories: Vec<String>,
    },
}

/// What a feature's value means to somebody who reads no numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Texts {
    /// Where it raises the risk.
    pub(crate) raises: Option<String>,
    /// Where it lowers the risk.
    pub(crate) lowers: Option<String>,
}

impl Texts {
    /// The text for a contribution of this sign; none for one of 0.
    pub(crate) fn of(&self, contribution: f64) -> Option<&str> {
        if contribution > 0.0 {
            self.raises.as_deref()
        } else if contribution < 0.0 {
            self.lowers.as_deref()
        } else {
            None
        }
    }
}

/// Features under a version, by their names.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FeatureSet {
    pub(crate) version: String,
    features: BTreeMap<String, Feature>,
}

/// What is wrong with a value of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadFeature {
    pub(crate) name: String,
    /// Continues the sentence that begins with the name.
    pub(crate) fault: String,
}

impl FeatureSet {
    pub(crate) fn new(version: String, features: Vec<Feature>) -> Self {
        let by_name = features
            .into_iter()
            .map(|feature| (feature.name.clone(), feature));
        Self {
            version,
            features: by_name.collect(),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Feature> {
        self.features.get(name)
    }

    /// The values in their canonical form: each as its feature declares it, in the order of names.
    ///
    /// # Errors
    /// All that is missing, undeclared, of another type or out of range.
    pub(crate) fn check(&self, mut given: Map<String, Value>) -> Result<Map<String, Value>, Vec<BadFeature>> {
        let mut bad = Vec::new();
        let mut checked = Map::new();
        for (name, feature) in &self.features {
            let read = match given.remove(name) {
                Some(value) => feature.read(value),
                None => Err("is required".to_owned()),
            };
            match read {
                Ok(value) => drop(checked.insert(name.clone(), value)),
                Err(fault) => bad.push(BadFeature {
                    name: name.clone(),
                    fault,
                }),
            }
        }
        bad.extend(given.into_iter().map(|(name, _)| BadFeature {
            name,
            fault: format!("is no feature of {}", self.version),
        }));
        if bad.is_empty() { Ok(checked) } else { Err(bad) }
    }
}

impl Feature {
    /// A value in the form in which it is kept: numbers as doubles, whole numbers as such.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn read(&self, value: Value) -> Result<Value, String> {
        if value.is_null() {
            return if self.nullable {
                Ok(value)
            } else {
                Err("must not be null".to_owned())
            };
        }
        match &self.kind {
            Kind::Number { minimum, maximum } => number(&value, *minimum, *maximum),
            Kind::Integer { minimum, maximum } => integer(&value, *minimum, *maximum),
            Kind::Boolean if value.is_boolean() => Ok(value),
            Kind::Boolean => Err("must be true or false".to_owned()),
            Kind::Category { categories } => match &value {
                Value::String(word) if categories.contains(word) => Ok(value),
                Value::String(_) => Err(format!("must be one of: {}", categories.join(", "))),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                    Err("must be text".to_owned())
                }
            },
        }
    }
}

fn number(value: &Value, minimum: Option<f64>, maximum: Option<f64>) -> Result<Value, String> {
    let number = value
        .as_f64()
        .filter(|number| number.is_finite())
        .ok_or("must be a finite number")?;
    within(number, minimum, maximum)?;
    // A zero has one form.
    let kept = Number::from_f64(number + 0.0).ok_or("must be a finite number")?;
    Ok(Value::Number(kept))
}

fn integer(value: &Value, minimum: Option<i64>, maximum: Option<i64>) -> Result<Value, String> {
    let number = value
        .as_i64()
        .ok_or("must be a whole number, written without fraction or exponent")?;
    within(number, minimum, maximum)?;
    Ok(number.into())
}

fn within<T>(number: T, minimum: Option<T>, maximum: Option<T>) -> Result<(), String>
where
    T: PartialOrd + std::fmt::Display,
{
    let is_inside = minimum.as_ref().is_none_or(|least| number >= *least)
        && maximum.as_ref().is_none_or(|most| number <= *most);
    if is_inside {
        return Ok(());
    }
    Err(match (minimum, maximum) {
        (Some(least), Some(most)) => format!("must be from {least} to {most}"),
        (Some(least), None) => format!("must be at least {least}"),
        (None, most) => format!(
            "must be at most {}",
            most.map(|most| most.to_string()).unwrap_or_default()
        ),
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn set(features: Value) -> FeatureSet {
        FeatureSet::new("v1".to_owned(), serde_json::from_value(features).unwrap())
    }

    fn declared(name: &str, rest: &Value) -> Value {
        let mut feature = json!({"name": name, "nullable": false, "subgroup": false, "texts": {}});
        let members = feature.as_object_mut().unwrap();
        members.extend(rest.as_object().unwrap().clone());
        feature
    }

    fn checked(set: &FeatureSet, values: Value) -> Result<Value, Vec<String>> {
        let Value::Object(values) = values else {
            panic!("an object")
        };
        let told = |bad: BadFeature| format!("{} {}", bad.name, bad.fault);
        let checked = set.check(values).map(Value::Object);
        checked.map_err(|bad| bad.into_iter().map(told).collect())
    }

    fn every_kind() -> FeatureSet {
        set(json!([
            declared(
                "n",
                &json!({"type": "number", "minimum": -1.5, "maximum": 2, "nullable": true})
            ),
            declared("i", &json!({"type": "integer", "minimum": 0})),
            declared("b", &json!({"type": "boolean"})),
            declared("c", &json!({"type": "category", "categories": ["day", "night"]})),
        ]))
    }

    #[test]
    fn all_faults_of_a_snapshot_are_told_at_once() {
        let given = json!({"n": 3, "i": -1, "b": "yes", "x": 1, "y": null});
        assert_eq!(
            checked(&every_kind(), given),
            Err(vec![
                "b must be true or false".to_owned(),
                "c is required".to_owned(),
                "i must be at least 0".to_owned(),
                "n must be from -1.5 to 2".to_owned(),
                "x is no feature of v1".to_owned(),
                "y is no feature of v1".to_owned(),
            ])
        );
    }

    #[test]
    fn the_ends_of_a_range_are_in_it_and_null_only_where_it_is_declared() {
        for (n, is_good) in [
            (json!(-1.5), true),
            (json!(2), true),
            (json!(2.000_001), false),
            (json!(null), true),
            (json!("1"), false),
            (json!([1]), false),
        ] {
            let given = json!({"n": n, "i": 0, "b": true, "c": "day"});
            assert_eq!(checked(&every_kind(), given).is_ok(), is_good, "{n}");
        }
        for (key, value) in [
            ("i", json!(null)),
            ("i", json!(1.0)),
            ("b", json!(0)),
            ("c", json!("Day")),
        ] {
            let mut given = json!({"n": 0, "i": 0, "b": true, "c": "day"});
            given[key] = value;
            assert!(checked(&every_kind(), given).is_err(), "{key}");
        }
    }

    #[test]
    fn one_value_has_one_form() {
        let forms = [json!(-0.0), json!(0), json!(0.0)];
        for n in forms {
            let kept = checked(&every_kind(), json!({"n": n, "i": 1, "b": false, "c": "day"}));
            assert_eq!(
                kept.unwrap().to_string(),
                r#"{"b":false,"c":"day","i":1,"n":0.0}"#
            );
        }
    }

    #[test]
    fn a_text_is_chosen_by_the_sign_of_the_contribution() {
        let texts = Texts {
            raises: Some("up".to_owned()),
            lowers: Some("down".to_owned()),
        };
        let of = |contribution| texts.of(contribution);
        assert_eq!((of(0.1), of(-0.1), of(0.0)), (Some("up"), Some("down"), None));
    }

    proptest! {
        #[test]
        fn what_was_kept_is_kept_as_it_is(n in -1.5..2.0_f64, i in 0..i64::MAX) {
            let given = json!({"n": n, "i": i, "b": true, "c": "night"});
            let once = checked(&every_kind(), given).unwrap();
            prop_assert_eq!(checked(&every_kind(), once.clone()).unwrap(), once);
        }
    }
}
