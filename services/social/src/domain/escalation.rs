//! Escalations: episodes in which somebody must answer.

use common::{EscalationType, Urgency};
use serde_json::Value;

/// How long an acknowledgement holds without contact, where the caller does not say.
pub(crate) const ACK_LEASE_DEFAULT_MINUTES: i64 = 30;
/// How long it may hold at most: a day in which nobody else is told is the longest that a crisis may rest.
pub(crate) const ACK_LEASE_MAX_MINUTES: i64 = 1_440;

/// What opened or joined an episode.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Trigger {
    pub(crate) user_id: String,
    pub(crate) escalation_type: EscalationType,
    pub(crate) urgency: Urgency,
    /// In 0..=1, where the trigger has one.
    pub(crate) risk_score: Option<f64>,
    /// The label or the model's level.
    pub(crate) risk_level: String,
    pub(crate) reason: String,
    /// The reasons that held, for the record.
    pub(crate) data: Value,
}
