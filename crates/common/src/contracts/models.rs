//! What the risk service tells of models.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Contract;
use crate::{LevelCause, ModelRiskLevel};

/// A model's prediction of a client's risk was stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ModelPredictionRecorded {
    /// The prediction.
    pub prediction_id: i64,
    /// About whom.
    pub user_id: String,
    /// Which model.
    pub model_name: String,
    /// Which version of it.
    pub model_version: String,
    /// `shadow`, `live` or `retired`; only a live model acts.
    pub stage: String,
    /// In 0..=1.
    pub probability: f64,
    /// By the version's thresholds.
    pub risk_level: ModelRiskLevel,
    /// When the model said so, UTC.
    pub predicted_at: DateTime<Utc>,
    /// Whether it is the last word of its version on the client, and its horizon lasts: one that comes late is history, and
    /// pages nobody today. Absent counts as true.
    pub is_current: Option<bool>,
}

impl Contract for ModelPredictionRecorded {
    const TYPE: &'static str = "risk.prediction.recorded";
}

/// The level of a client by all live models changed: the severest of what each of them said last, as long as that holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RiskLevelChanged {
    /// Whose.
    pub user_id: String,
    /// The level before; absent where there was none.
    pub from: Option<ModelRiskLevel>,
    /// The level now; absent where no prediction holds any more.
    pub to: Option<ModelRiskLevel>,
    /// Since when, UTC; of one client never before an earlier change.
    pub since: DateTime<Utc>,
    /// What changed it.
    pub cause: LevelCause,
    /// The prediction that the level now is by.
    pub prediction_id: Option<i64>,
    /// The model that made it.
    pub model_name: Option<String>,
    /// The version of the model.
    pub model_version: Option<String>,
    /// What it says, in 0..=1.
    pub probability: Option<f64>,
    /// When the model said so, UTC.
    pub predicted_at: Option<DateTime<Utc>>,
}

impl Contract for RiskLevelChanged {
    const TYPE: &'static str = "risk.level.changed";
}

/// A model version is not what it was: its clients, its scores or its calibration have moved, its outcomes are no longer told,
/// or it has fallen silent. Told again after a while for as long as it is so.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DriftDetected {
    /// The alert; the same for as long as it is open.
    pub alert_id: i64,
    /// Which model.
    pub model_name: String,
    /// Which version of it.
    pub model_version: String,
    /// `feature_drift`, `score_drift`, `calibration`, `labels_missing`, `outcomes_missing` or `silent`.
    pub kind: String,
    /// Which feature drifts.
    pub feature_name: Option<String>,
    /// Stability index, calibration error, labelled share, outcomes told in a month, or minutes of silence.
    pub measure: f64,
    /// What it went past.
    pub limit: f64,
    /// Since when it is so, UTC.
    pub opened_at: DateTime<Utc>,
}

impl Contract for DriftDetected {
    const TYPE: &'static str = "risk.drift.detected";
}
