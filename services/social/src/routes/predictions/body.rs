//! What a prediction looks like on the wire, in and out.

use chrono::{DateTime, Utc};
use common::{Probability, RiskLabel, Trend};
use serde::Serialize;
use utoipa::ToSchema;
use web::{Fault, Fields, Read, Value, read};

use crate::domain::prediction::{NewPrediction, Scores};
use crate::ops::record::Recorded;

const MAX_MODEL_VERSION_BYTES: usize = 50;

/// A pipeline's scores of one message, each in 0..=1, rounded to six decimals.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "describes the body; NewPrediction is what it is read into"
)]
pub(super) struct PredictionBody {
    p_craving: f64,
    p_relapse: f64,
    p_negative_mood: f64,
    p_neutral: f64,
    p_toxic: f64,
    p_isolation: f64,
    /// By default the greatest of p_craving, p_relapse and 0.7 of p_negative_mood.
    risk_score: Option<f64>,
    /// Which model; with the message it is the natural key of the prediction.
    #[schema(max_length = 50, example = "vader-lexicon-1.0.0")]
    model_version: String,
    /// When the model said so; by default now.
    timestamp: Option<DateTime<Utc>>,
}

/// The scores of one message of a batch.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "describes the body; NewPrediction is what it is read into"
)]
pub(super) struct PredictionItem {
    message_id: i64,
    #[serde(flatten)]
    scores: PredictionBody,
}

/// A prediction whose message the path names.
pub(super) struct Scored(pub(super) NewPrediction);

impl Read for Scored {
    const MAX_BODY_BYTES: usize = 16 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        // The path fills in the message.
        read_prediction(fields, Some(0)).map(Self)
    }
}

impl Read for NewPrediction {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let message_id = fields.required("message_id", read::integer(1..=i64::MAX));
        read_prediction(fields, message_id)
    }
}

fn read_prediction(fields: &mut Fields<'_>, message_id: Option<i64>) -> Option<NewPrediction> {
    let p_craving = fields.required("p_craving", probability);
    let p_relapse = fields.required("p_relapse", probability);
    let p_negative_mood = fields.required("p_negative_mood", probability);
    let p_neutral = fields.required("p_neutral", probability);
    let p_toxic = fields.required("p_toxic", probability);
    let p_isolation = fields.required("p_isolation", probability);
    let risk_score = fields.optional("risk_score", probability);
    let model_version = fields.required(
        "model_version",
        read::parsed(
            model_version,
            "1 to 50 visible ASCII characters, such as vader-lexicon-1.0.0",
        ),
    );
    let timestamp = fields.optional("timestamp", read::timestamp);
    let scores = Scores {
        p_craving: p_craving?,
        p_relapse: p_relapse?,
        p_negative_mood: p_negative_mood?,
        p_neutral: p_neutral?,
        p_toxic: p_toxic?,
        p_isolation: p_isolation?,
    };
    Some(NewPrediction {
        message_id: message_id?,
        model_version: model_version?,
        timestamp: timestamp?,
        scores,
        risk_score: risk_score?.unwrap_or_else(|| scores.default_risk_score()),
        traceparent: None,
    })
}

fn model_version(text: &str) -> Option<String> {
    let fits = (1..=MAX_MODEL_VERSION_BYTES).contains(&text.len());
    (fits && text.bytes().all(|byte| byte.is_ascii_graphic())).then(|| text.to_owned())
}

fn probability(value: &Value) -> Result<Probability, Fault> {
    let number = read::number(value)?;
    Probability::new(number).ok_or_else(|| "must be a number from 0 to 1".into())
}

/// What a stored prediction led to.
#[derive(Serialize, ToSchema)]
pub(super) struct RecordedBody {
    /// The prediction.
    id: i64,
    message_id: i64,
    /// As given, or as derived from the scores.
    risk_score: f64,
    profile: ProfileAfter,
    /// The episode that this opened or joined.
    escalation_id: Option<i64>,
    /// What the rules decided on this occasion, also to do nothing.
    actions: Vec<ActionBody>,
}

/// The client's profile after the prediction.
#[derive(Serialize, ToSchema)]
struct ProfileAfter {
    user_id: String,
    #[schema(value_type = String, example = "MODERATE_RISK")]
    current_risk_label: RiskLabel,
    risk_label_since: DateTime<Utc>,
    #[schema(value_type = String, example = "stable")]
    risk_trend: Trend,
    #[schema(value_type = String, example = "stable")]
    isolation_trend: Trend,
    short_avg_risk_score: Option<f64>,
    short_max_risk_score: Option<f64>,
    policy_version: String,
    computed_at: DateTime<Utc>,
}

/// One decision.
#[derive(Serialize, ToSchema)]
struct ActionBody {
    action_id: i64,
    /// nudge, escalation, meeting, family_notice or none.
    action_type: &'static str,
    chosen: String,
    /// done, pending or withheld.
    status: &'static str,
    withheld_reason: Option<&'static str>,
}

impl RecordedBody {
    pub(super) fn new(message_id: i64, recorded: Recorded) -> Self {
        let profile = recorded.profile;
        let actions = recorded.actions.into_iter().map(|action| ActionBody {
            action_id: action.action_id,
            action_type: action.action_type,
            chosen: action.chosen,
            status: action.status,
            withheld_reason: action.withheld_reason,
        });
        Self {
            id: recorded.id,
            message_id,
            risk_score: recorded.risk_score.as_f64(),
            escalation_id: recorded.escalation_id,
            actions: actions.collect(),
            profile: ProfileAfter {
                current_risk_label: profile.label,
                risk_label_since: profile.label_since,
                risk_trend: profile.risk_trend,
                isolation_trend: profile.isolation_trend,
                short_avg_risk_score: profile.windows.short.mean_risk(),
                short_max_risk_score: profile.windows.short_max.map(Probability::as_f64),
                computed_at: profile.windows.now,
                policy_version: profile.policy_version,
                user_id: profile.user_id,
            },
        }
    }
}
