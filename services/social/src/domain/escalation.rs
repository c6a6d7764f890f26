//! Escalations: episodes in which somebody must answer.

use common::{ContactOutcome, EscalationType, Urgency};
use serde_json::Value;

/// How long an acknowledgement may hold without contact at most: a day in which nobody else is told is the longest that a crisis may rest.
pub(crate) const ACK_LEASE_MAX_MINUTES: i64 = 1_440;

/// Whether an episode can end with this alone. Who spoke with the client, or called for help, or saw that there was no
/// crisis, has answered; a client who was not reached is to be tried again.
pub(crate) fn is_final(outcome: ContactOutcome) -> bool {
    match outcome {
        ContactOutcome::Spoke | ContactOutcome::EmergencyServices | ContactOutcome::FalseAlarm => true,
        ContactOutcome::LeftMessage | ContactOutcome::Unreachable => false,
    }
}

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
