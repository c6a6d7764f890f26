//! What a prediction looks like on the wire, in and out.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use common::{ModelRiskLevel, ModelStage, Probability};
use serde::Serialize;
use utoipa::ToSchema;
use web::{Fault, Fields, Read, Value, read};

use crate::domain::explanation::Link;
use crate::domain::outcome::{HORIZON_DAYS_MAX, Horizon};
use crate::domain::prediction::{METHODS, MadeOf, NewContribution, NewExplanation, NewPrediction, SHAP};
use crate::ops::record::Recorded;
use crate::routes::names::a_name;
use crate::routes::snapshots::read_snapshot;

const MAX_METHODS: usize = 4;
const MAX_CONTRIBUTIONS: usize = 500;
const MAX_METADATA_BYTES: usize = 8 * 1024;
/// Farther from 0 no part of a prediction is.
const MAX_PART: f64 = 1e300;

/// What a version of a model says of a client, of a snapshot that stands (`snapshot_id`) or of one that comes along
/// (`features`).
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "describes the body; NewPrediction is what it is read into"
)]
pub(super) struct PredictionBody {
    user_id: String,
    #[schema(max_length = 100, example = "relapse-7d")]
    model_name: String,
    #[schema(max_length = 100, example = "2026-11-01")]
    model_version: String,
    /// As of when; by default now. Name it, so that a repeat is one.
    predicted_at: Option<DateTime<Utc>>,
    /// How many days ahead it looks.
    #[schema(minimum = 1, maximum = 365, example = 7)]
    horizon_days: i32,
    /// Of a relapse or lapse within these days; kept with six decimals.
    probability: f64,
    /// What the model was told, where that was stored before.
    snapshot_id: Option<i64>,
    /// What the model was told, by the names of its features.
    #[schema(value_type = Option<Object>, example = json!({"messages_7d": 12, "sleep_hours": 6.5}))]
    features: Option<serde_json::Value>,
    /// By default the set that the version reads, and never another.
    feature_set_version: Option<String>,
    /// As of when the features hold; by default `predicted_at`.
    captured_at: Option<DateTime<Utc>>,
    /// Which extractor made the features; by default `pipeline`.
    source: Option<String>,
    /// Up to 8 KiB of what the pipeline adds.
    #[schema(value_type = Option<Object>)]
    metadata: Option<serde_json::Value>,
    /// Up to four, each by another method.
    #[schema(max_items = 4)]
    explanations: Option<Vec<ExplanationBody>>,
}

/// Why, by one method. SHAP values and their base add up to the prediction within 0.001 in the link.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "describes the body; NewExplanation is what it is read into"
)]
pub(super) struct ExplanationBody {
    /// `shap`, `lime`, `permutation` or `other`.
    method: String,
    /// What the model says without any feature; required for shap.
    base_value: Option<f64>,
    /// `identity`: contributions are probabilities; `logit`: log-odds. Required for shap.
    link: Option<String>,
    #[schema(min_items = 1, max_items = 500)]
    contributions: Vec<ContributionBody>,
}

/// One feature's part.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "describes the body; NewContribution is what it is read into"
)]
pub(super) struct ContributionBody {
    #[schema(example = "sleep_hours")]
    feature: String,
    /// Where it is given, it must be that of the snapshot.
    #[schema(value_type = Option<Object>)]
    value: Option<serde_json::Value>,
    /// How much it moved the prediction; above zero raises the risk.
    contribution: f64,
}

impl Read for NewPrediction {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let user_id = fields.required("user_id", read::identifier);
        let model_name = fields.required("model_name", a_name);
        let model_version = fields.required("model_version", a_name);
        let predicted_at = fields.optional("predicted_at", read::timestamp);
        let horizon = fields
            .required("horizon_days", read::integer(1..=HORIZON_DAYS_MAX))
            .and_then(Horizon::new);
        let probability = fields.required("probability", probability);
        let made_of = made_of(fields);
        let metadata = fields.optional("metadata", read::object(MAX_METADATA_BYTES));
        let explanations = explanations(fields);
        let predicted_at = predicted_at?;
        let made_of = made_of?;
        if let (Some(predicted), MadeOf::Features(new)) = (predicted_at, &made_of)
            && new.captured_at.is_some_and(|captured| captured > predicted)
        {
            fields.fault("captured_at", "must not be after predicted_at");
            return None;
        }
        Some(Self {
            user_id: user_id?,
            made_of,
            model_name: model_name?,
            model_version: model_version?,
            predicted_at,
            horizon: horizon?,
            probability: probability?,
            metadata: metadata?,
            explanations: explanations?,
        })
    }
}

fn made_of(fields: &mut Fields<'_>) -> Option<MadeOf> {
    let snapshot_id = fields.optional("snapshot_id", read::integer(1..=i64::MAX));
    let feature_set_version = fields.optional("feature_set_version", a_name);
    let brings = fields.optional("features", |_| Ok::<_, Fault>(()));
    match (snapshot_id?, brings?) {
        (None, _) => {
            let mut new = read_snapshot(fields)?;
            new.feature_set_version = feature_set_version?;
            Some(MadeOf::Features(new))
        }
        (Some(id), None) => Some(MadeOf::Snapshot(id)),
        (Some(_), Some(())) => {
            fields.fault("features", "must not be there with snapshot_id, which has them");
            None
        }
    }
}

fn explanations(fields: &mut Fields<'_>) -> Option<Vec<NewExplanation>> {
    let given: Vec<NewExplanation> = fields.optional_nested_list("explanations", 0..=MAX_METHODS)?;
    let mut methods = HashSet::new();
    if given.iter().all(|explanation| methods.insert(explanation.method)) {
        Some(given)
    } else {
        fields.fault("explanations", "holds two of one method");
        None
    }
}

impl Read for NewExplanation {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let method = fields.required("method", read::one_of(METHODS));
        let base_value = fields.optional("base_value", part);
        let link = fields.optional("link", link);
        let contributions: Option<Vec<NewContribution>> =
            fields.nested_list("contributions", 1..=MAX_CONTRIBUTIONS);
        let is_shap = method == Some(SHAP);
        let mut is_whole = true;
        for (name, is_absent) in [
            ("base_value", base_value == Some(None)),
            ("link", link == Some(None)),
        ] {
            if is_shap && is_absent {
                fields.fault(name, "is required for shap");
                is_whole = false;
            }
        }
        let mut seen = HashSet::new();
        let mut names = contributions.iter().flatten().map(|given| given.feature.as_str());
        if !names.all(|name| seen.insert(name)) {
            fields.fault("contributions", "names a feature twice");
            return None;
        }
        is_whole.then_some(())?;
        Some(Self {
            method: method?,
            base_value: base_value?,
            link: link?,
            contributions: contributions?,
        })
    }
}

impl Read for NewContribution {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let feature = fields.required("feature", a_name);
        let value = fields.change("value", value);
        let contribution = fields.required("contribution", part);
        Some(Self {
            feature: feature?,
            // Null is a value, too.
            value: value?.map(Option::unwrap_or_default),
            contribution: contribution?,
        })
    }
}

fn probability(value: &Value) -> Result<Probability, Fault> {
    let number = read::number(value)?;
    Probability::new(number).ok_or_else(|| "must be a number from 0 to 1".into())
}

fn part(value: &Value) -> Result<f64, Fault> {
    let number = read::number(value)?;
    if number.abs() <= MAX_PART {
        Ok(number)
    } else {
        Err("must be from -1e300 to 1e300".into())
    }
}

fn link(value: &Value) -> Result<Link, Fault> {
    let word = read::one_of(Link::WORDS)(value)?;
    Link::parse(word).ok_or_else(|| "must be identity or logit".into())
}

/// No feature has an object or an array for a value.
fn value(value: &Value) -> Result<serde_json::Value, Fault> {
    match value {
        Value::Object(_) | Value::Array(_) => Err("must be the value of a feature".into()),
        Value::Null
        | Value::Boolean(_)
        | Value::Negative(_)
        | Value::Natural(_)
        | Value::Real(_)
        | Value::Text(_) => Ok(value.to_json()),
    }
}

/// A prediction that stands.
#[derive(Serialize, ToSchema)]
pub(super) struct RecordedBody {
    prediction_id: i64,
    snapshot_id: i64,
    user_id: String,
    model_name: String,
    model_version: String,
    predicted_at: DateTime<Utc>,
    horizon_days: i16,
    probability: f64,
    /// By the version's thresholds when it came in.
    #[schema(value_type = String, example = "MODERATE")]
    risk_level: ModelRiskLevel,
    /// From where on the version said VERY_HIGH then.
    threshold: f64,
    /// The version's stage when it came in: only `live` ones count and page.
    #[schema(value_type = String, example = "live")]
    stage: ModelStage,
}

impl RecordedBody {
    pub(super) fn new(given: &NewPrediction, recorded: Recorded) -> Self {
        Self {
            prediction_id: recorded.prediction_id,
            snapshot_id: recorded.snapshot_id,
            user_id: recorded.user_id,
            model_name: given.model_name.clone(),
            model_version: given.model_version.clone(),
            predicted_at: recorded.predicted_at,
            horizon_days: given.horizon.days(),
            probability: given.probability.as_f64(),
            risk_level: recorded.risk_level,
            threshold: recorded.threshold.as_f64(),
            stage: recorded.stage,
        }
    }
}
