//! What each event carries in `data`, one struct a routing key. `docs/events/asyncapi.yaml` describes the same.
//!
//! Fields are only ever added, and optional when they are; a new meaning is a new routing key.

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{
    ConsentPurpose, ConversationType, EscalationStatus, EscalationType, MeetingStatus, RiskLabel, SenderRole,
    Trend, Urgency,
};

mod models;

pub use models::{DriftDetected, ModelPredictionRecorded, RiskLevelChanged};

/// A contract: the data of one routing key.
pub trait Contract: Serialize + DeserializeOwned {
    /// The routing key, `<service>.<noun>.<past verb>`.
    const TYPE: &'static str;
}

/// An account was made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UserCreated {
    /// The account.
    pub user_id: String,
    /// `client` or `staff`.
    pub kind: String,
    /// When, UTC.
    pub created_at: DateTime<Utc>,
}

impl Contract for UserCreated {
    const TYPE: &'static str = "core.user.created";
}

/// An account was changed: which fields, never to what.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UserUpdated {
    /// The account.
    pub user_id: String,
    /// Names of the fields that are other than before.
    pub changed: Vec<String>,
    /// When, UTC.
    pub updated_at: DateTime<Utc>,
}

impl Contract for UserUpdated {
    const TYPE: &'static str = "core.user.updated";
}

/// A staff user took sight of a client beyond the own caseload. The reason stays in core.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BreakGlassGranted {
    /// The grant.
    pub grant_id: i64,
    /// The client whom it shows.
    pub user_id: String,
    /// From when on, UTC.
    pub granted_at: DateTime<Utc>,
    /// Until when, UTC.
    pub expires_at: DateTime<Utc>,
}

impl Contract for BreakGlassGranted {
    const TYPE: &'static str = "core.breakglass.granted";
}

/// A supervisor looked at what somebody had taken.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BreakGlassReviewed {
    /// The grant.
    pub grant_id: i64,
    /// The client whom it showed.
    pub user_id: String,
    /// When, UTC.
    pub reviewed_at: DateTime<Utc>,
}

impl Contract for BreakGlassReviewed {
    const TYPE: &'static str = "core.breakglass.reviewed";
}

/// An account was erased, with everything that belonged to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UserErased {
    /// The account there was.
    pub user_id: String,
    /// When, UTC.
    pub erased_at: DateTime<Utc>,
}

impl Contract for UserErased {
    const TYPE: &'static str = "core.user.erased";
}

/// A message was stored. The text stays in core.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MessageCreated {
    /// The message.
    pub message_id: i64,
    /// Its author's account (the client of the conversation).
    pub user_id: String,
    /// When it was written, UTC.
    pub timestamp: DateTime<Utc>,
    /// In what kind of conversation.
    pub conversation_type: ConversationType,
    /// Who wrote it.
    pub sender_role: SenderRole,
}

impl Contract for MessageCreated {
    const TYPE: &'static str = "core.message.created";
}

/// Messages of a client are gone: deleted, or nobody's any more at the end of their term. One event names up to a thousand.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MessageDeleted {
    /// The client of the conversation.
    pub user_id: String,
    /// The messages, whoever wrote them.
    pub message_ids: Vec<i64>,
}

impl Contract for MessageDeleted {
    const TYPE: &'static str = "core.message.deleted";
}

/// A consent was given or taken back; the routing key says which. To whom it was given stays in core.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConsentChanged {
    /// The consent.
    pub consent_id: i64,
    /// Whose.
    pub user_id: String,
    /// What it is for.
    pub purpose: ConsentPurpose,
    /// Since when it stands or stands no more, UTC.
    pub changed_at: DateTime<Utc>,
}

/// Routing keys of [`ConsentChanged`].
pub mod consent {
    /// The client consented.
    pub const GRANTED: &str = "core.consent.granted";
    /// The client took it back.
    pub const REVOKED: &str = "core.consent.revoked";
}

/// A pipeline's scores of one message were stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PredictionRecorded {
    /// The prediction.
    pub prediction_id: i64,
    /// The message it scores.
    pub message_id: i64,
    /// The message's author.
    pub user_id: String,
    /// When the message was written, UTC: what every window counts by.
    pub message_timestamp: DateTime<Utc>,
    /// Which model scored it.
    pub model_version: String,
    /// In 0..=1, six decimals.
    pub risk_score: f64,
    /// In 0..=1, six decimals.
    pub p_isolation: f64,
}

impl Contract for PredictionRecorded {
    const TYPE: &'static str = "social.prediction.recorded";
}

/// A check called a client's message dangerous, and staff are told. What it found stays in social.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SafetyFlagged {
    /// The finding.
    pub safety_event_id: i64,
    /// The message.
    pub message_id: i64,
    /// Its author.
    pub user_id: String,
    /// When, UTC.
    pub flagged_at: DateTime<Utc>,
    /// The episode that it opened or joined.
    pub escalation_id: i64,
}

impl Contract for SafetyFlagged {
    const TYPE: &'static str = "social.safety.flagged";
}

/// The rules decided what to do for a client, also to do nothing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ActionDecided {
    /// The row in `social.actions`.
    pub action_id: i64,
    /// For whom.
    pub user_id: String,
    /// When, UTC.
    pub decided_at: DateTime<Utc>,
    /// The label at that moment.
    pub risk_label: RiskLabel,
    /// What was chosen; `none` where nothing was.
    pub chosen: String,
    /// What could have been chosen.
    pub eligible: Vec<String>,
    /// With what probability it was chosen; absent where nothing was randomised.
    pub probability: Option<f64>,
    /// Which policy decided.
    pub policy_version: String,
    /// Who wanted it: `rule`, `reco`, `staff` or `meeting`.
    pub source: Option<String>,
    /// Why nothing was done; absent where something was.
    pub withheld_reason: Option<String>,
}

impl Contract for ActionDecided {
    const TYPE: &'static str = "social.action.decided";
}

/// A client's label or trend changed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProfileChanged {
    /// Whose.
    pub user_id: String,
    /// The label now.
    pub current_risk_label: RiskLabel,
    /// The label before.
    pub previous_risk_label: RiskLabel,
    /// The trend now.
    pub risk_trend: Trend,
    /// Mean risk of the last 7 days in 0..=1; absent without data.
    pub short_avg_risk_score: Option<f64>,
    /// When it was computed, UTC.
    pub computed_at: DateTime<Utc>,
}

impl Contract for ProfileChanged {
    const TYPE: &'static str = "social.profile.changed";
}

/// An escalation changed its state; the routing key says how.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EscalationChanged {
    /// The episode.
    pub escalation_id: i64,
    /// About whom.
    pub user_id: String,
    /// Of which type.
    pub escalation_type: EscalationType,
    /// How urgent it is now.
    pub urgency: Urgency,
    /// Its state now.
    pub status: EscalationStatus,
    /// How many triggers it has gathered.
    pub trigger_count: i32,
}

/// Routing keys of [`EscalationChanged`].
pub mod escalation {
    /// A new episode was opened.
    pub const RAISED: &str = "social.escalation.raised";
    /// Somebody was told.
    pub const NOTIFIED: &str = "social.escalation.notified";
    /// Somebody took it.
    pub const ACKNOWLEDGED: &str = "social.escalation.acknowledged";
    /// It went on to the next tier.
    pub const ADVANCED: &str = "social.escalation.advanced";
    /// It ended with an outcome.
    pub const RESOLVED: &str = "social.escalation.resolved";
    /// It ended without one.
    pub const CANCELLED: &str = "social.escalation.cancelled";
}

/// A card for the family changed its state; the routing key says how. What it says and to whom stays in social.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FamilyCardChanged {
    /// The card.
    pub card_id: i64,
    /// Whose.
    pub user_id: String,
    /// The consent that it rests on.
    pub consent_id: i64,
    /// Its state now.
    pub share_status: String,
}

/// Routing keys of [`FamilyCardChanged`].
pub mod family_card {
    /// It may go out, and is in the ledger of disclosures.
    pub const SHARED: &str = "social.familycard.shared";
    /// Its consent ended before.
    pub const FAILED: &str = "social.familycard.failed";
}

/// A meeting changed its state; the routing key says how.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MeetingChanged {
    /// The meeting.
    pub meeting_id: i64,
    /// With which client.
    pub user_id: String,
    /// Its state now.
    pub status: MeetingStatus,
    /// When it begins, UTC; absent where that is open.
    pub scheduled_time: Option<DateTime<Utc>>,
}

/// Routing keys of [`MeetingChanged`].
pub mod meeting {
    /// Its time is kept for the counselor: it is scheduled, or confirmed as well.
    pub const SCHEDULED: &str = "social.meeting.scheduled";
    /// The client agreed to it.
    pub const CONSENTED: &str = "social.meeting.consented";
    /// It is over: it took place, or the client did not come.
    pub const COMPLETED: &str = "social.meeting.completed";
    /// It does not take place.
    pub const CANCELLED: &str = "social.meeting.cancelled";
}

/// A nudge changed its state; the routing key says how.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NudgeChanged {
    /// The nudge.
    pub nudge_id: i64,
    /// For whom.
    pub user_id: String,
    /// Its category.
    pub nudge_type: String,
    /// Its state now.
    pub status: String,
    /// The client's answer, where there is one.
    pub user_response: Option<String>,
    /// How it reaches the client: `in_app`, or `push` where the app is to call for attention as well.
    pub channel: Option<String>,
    /// The recommendation that it offers.
    pub recommendation_id: Option<i64>,
}

/// Routing keys of [`NudgeChanged`].
pub mod nudge {
    /// The rules or a person made it.
    pub const CREATED: &str = "social.nudge.created";
    /// It was delivered.
    pub const SENT: &str = "social.nudge.sent";
    /// The client saw it.
    pub const VIEWED: &str = "social.nudge.viewed";
    /// The client answered it.
    pub const RESPONDED: &str = "social.nudge.responded";
}

/// Something was recommended to a client. The first of a ranking may be offered as a nudge.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RecommendationCreated {
    /// The recommendation.
    pub recommendation_id: i64,
    /// To whom.
    pub user_id: String,
    /// What kind of thing it is, such as `coping_exercise`: lower-case letters, digits and underscores.
    pub family: String,
    /// Its place in the ranking, from 1.
    pub rank: i32,
    /// With what probability it got that place, in (0, 1]; absent where nothing was randomised.
    pub probability: Option<f64>,
    /// Which policy ranked.
    pub policy_version: String,
    /// When, UTC.
    pub created_at: DateTime<Utc>,
    /// When it is out of date, UTC.
    pub expires_at: DateTime<Utc>,
}

impl Contract for RecommendationCreated {
    const TYPE: &'static str = "reco.recommendation.created";
}
