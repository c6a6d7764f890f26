//! Silence: nobody has heard of a client when somebody should have.

use chrono::{DateTime, Utc};
use common::{EscalationType, Urgency};
use serde_json::json;

use super::escalation::Trigger;

/// A contact that was expected and did not come.
#[derive(Clone, Debug)]
pub(crate) struct Missed {
    pub(crate) user_id: String,
    pub(crate) expected_at: DateTime<Utc>,
    /// The episode whose resolution promised it, if one.
    pub(crate) escalation_id: Option<i64>,
    /// The meeting that it was, if one.
    pub(crate) meeting_id: Option<i64>,
    /// The label of the profile.
    pub(crate) risk_label: String,
}

impl Missed {
    /// What opens an episode.
    pub(crate) fn trigger(&self) -> Trigger {
        Trigger {
            user_id: self.user_id.clone(),
            escalation_type: EscalationType::Silence,
            urgency: Urgency::High,
            risk_score: None,
            risk_level: self.risk_label.clone(),
            reason: "A contact with the client was expected, and nobody has spoken with them since."
                .to_owned(),
            data: json!([{
                "code": "missed_contact",
                "expected_at": self.expected_at,
                "escalation_id": self.escalation_id,
                "meeting_id": self.meeting_id,
            }]),
        }
    }
}
