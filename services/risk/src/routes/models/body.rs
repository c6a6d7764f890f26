//! What a version of a model looks like on the wire, in and out.

use chrono::{DateTime, Utc};
use common::{ModelRiskLevel, ModelStage};
use serde::Serialize;
use utoipa::ToSchema;
use web::{Fields, Read, read};

use crate::domain::level::{Thresholds, ThresholdsRefused};
use crate::routes::names::a_name;
use crate::store::model_versions::{Stored, Version};

const MAX_DESCRIPTION_BYTES: usize = 1_000;
const MAX_METADATA_BYTES: usize = 16 * 1024;

/// From which probability on a level holds: rising, above 0 and up to 1, in six decimals.
#[derive(Serialize, ToSchema)]
struct ThresholdsBody {
    #[schema(example = 0.3)]
    moderate: f64,
    #[schema(example = 0.5)]
    high: f64,
    /// Where a live version pages.
    #[schema(example = 0.8)]
    very_high: f64,
}

/// A version of a model to be. It is registered once and never changed.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; Version is what it is read into")]
pub(super) struct NewModelBody {
    #[schema(max_length = 100, example = "relapse-7d")]
    model_name: String,
    #[schema(max_length = 100, example = "2026-11-01")]
    version: String,
    /// The features it reads.
    #[schema(max_length = 100, example = "engagement-3")]
    feature_set_version: String,
    thresholds: ThresholdsBody,
    /// What it predicts.
    #[schema(max_length = 1000)]
    description: Option<String>,
    /// Start and end of the window that drift is measured against, both or neither; by default its first 30 days.
    reference_from: Option<DateTime<Utc>>,
    reference_until: Option<DateTime<Utc>>,
    /// Up to 16 KiB of what its makers say of it.
    #[schema(value_type = Option<Object>)]
    metadata: Option<serde_json::Value>,
}

/// As it is read.
pub(super) struct NewModel(pub(super) Version);

impl Read for NewModel {
    const MAX_BODY_BYTES: usize = 64 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let model_name = fields.required("model_name", a_name);
        let version = fields.required("version", a_name);
        let feature_set_version = fields.required("feature_set_version", a_name);
        let thresholds = fields.nested("thresholds");
        let description = fields.optional("description", read::text(1..=MAX_DESCRIPTION_BYTES));
        let from = fields.optional("reference_from", read::moment);
        let until = fields.optional("reference_until", read::moment);
        let metadata = fields.optional("metadata", read::object(MAX_METADATA_BYTES));
        let reference = reference(fields, from?, until?);
        Some(Self(Version {
            model_name: model_name?,
            version: version?,
            feature_set_version: feature_set_version?,
            thresholds: thresholds?,
            description: description?,
            reference: reference?,
            metadata: metadata?.unwrap_or_else(|| serde_json::json!({})),
        }))
    }
}

type Window = (DateTime<Utc>, DateTime<Utc>);

fn reference(
    fields: &mut Fields<'_>,
    from: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
) -> Option<Option<Window>> {
    match (from, until) {
        (None, None) => return Some(None),
        (Some(from), Some(until)) if from < until => return Some(Some((from, until))),
        (Some(_), Some(_)) => fields.fault("reference_until", "must be after reference_from"),
        (None, Some(_)) => fields.fault("reference_from", "is required with reference_until"),
        (Some(_), None) => fields.fault("reference_until", "is required with reference_from"),
    }
    None
}

impl Read for Thresholds {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let [moderate, high, very_high] =
            ["moderate", "high", "very_high"].map(|name| fields.required(name, read::number));
        let refused = match Self::new(moderate?, high?, very_high?) {
            Ok(thresholds) => return Some(thresholds),
            Err(refused) => refused,
        };
        let (level, fault) = match refused {
            ThresholdsRefused::OutOfRange(level) => (level, "must be above 0 and up to 1, in six decimals"),
            ThresholdsRefused::NotRising(level) => (
                level,
                "must be above the threshold of the level below, in six decimals",
            ),
        };
        let name = match level {
            ModelRiskLevel::Low | ModelRiskLevel::Moderate => "moderate",
            ModelRiskLevel::High => "high",
            ModelRiskLevel::VeryHigh => "very_high",
        };
        fields.fault(name, fault);
        None
    }
}

/// Where a version goes.
#[derive(ToSchema)]
pub(super) struct StageBody {
    /// `shadow`, `live` or `retired`.
    #[schema(value_type = String, example = "live")]
    pub(super) stage: ModelStage,
}

impl Read for StageBody {
    const MAX_BODY_BYTES: usize = 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let stage = fields.required("stage", read::one_of(ModelStage::WORDS))?;
        Some(Self {
            stage: stage.parse().ok()?,
        })
    }
}

/// A version of a model.
#[derive(Serialize, ToSchema)]
pub(super) struct ModelView {
    model_name: String,
    version: String,
    feature_set_version: String,
    /// `shadow`: it is listened to and measured, and acts on nobody. `live`: its levels count. `retired`: it says nothing
    /// any more.
    #[schema(value_type = String, example = "shadow")]
    stage: ModelStage,
    stage_since: DateTime<Utc>,
    /// Such as `staff:boss`.
    stage_by: String,
    thresholds: ThresholdsBody,
    description: Option<String>,
    reference_from: Option<DateTime<Utc>>,
    reference_until: Option<DateTime<Utc>>,
    #[schema(value_type = Object)]
    metadata: serde_json::Value,
    registered_at: DateTime<Utc>,
    /// Such as `pipeline:nightly`.
    registered_by: String,
}

impl From<Stored> for ModelView {
    fn from(found: Stored) -> Self {
        let version = found.version;
        let [moderate, high, very_high] = version.thresholds.values().map(common::Probability::as_f64);
        let (reference_from, reference_until) = version.reference.unzip();
        Self {
            model_name: version.model_name,
            version: version.version,
            feature_set_version: version.feature_set_version,
            stage: found.stage,
            stage_since: found.stage_since,
            stage_by: found.stage_by,
            thresholds: ThresholdsBody {
                moderate,
                high,
                very_high,
            },
            description: version.description,
            reference_from,
            reference_until,
            metadata: version.metadata,
            registered_at: found.registered_at,
            registered_by: found.registered_by,
        }
    }
}
