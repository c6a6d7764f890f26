//! The rolling risk profile: what the windows and the policy make of a client.

use chrono::{DateTime, Utc};
use common::{RiskLabel, Trend};

use super::label::{self, Reason};
use super::policy::Policy;
use super::windows::Windows;

/// What stood before: the part of a stored profile that the next one depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) user_id: String,
    pub(crate) label: RiskLabel,
    pub(crate) label_since: DateTime<Utc>,
    pub(crate) risk_trend: Trend,
    pub(crate) last_decision_at: Option<DateTime<Utc>>,
    /// When a nudge that was withheld is thought of again.
    pub(crate) nudge_reconsider_at: Option<DateTime<Utc>>,
}

/// A profile as it follows from the windows at one instant.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Profile {
    pub(crate) user_id: String,
    pub(crate) windows: Windows,
    pub(crate) risk_trend: Trend,
    pub(crate) isolation_trend: Trend,
    pub(crate) label: RiskLabel,
    pub(crate) label_since: DateTime<Utc>,
    pub(crate) previous_label: RiskLabel,
    pub(crate) previous_trend: Trend,
    pub(crate) reasons: Vec<Reason>,
    pub(crate) policy_version: String,
}

impl Profile {
    /// Computes the profile anew. The label's date moves only when the label does.
    pub(crate) fn compute(standing: &Standing, windows: Windows, policy: &Policy) -> Self {
        let (label, reasons) = label::judge(&windows, &policy.thresholds);
        Self {
            user_id: standing.user_id.clone(),
            risk_trend: windows.risk_trend(),
            isolation_trend: windows.isolation_trend(),
            label,
            label_since: if label == standing.label {
                standing.label_since
            } else {
                windows.now
            },
            previous_label: standing.label,
            previous_trend: standing.risk_trend,
            reasons,
            policy_version: policy.version.clone(),
            windows,
        }
    }

    /// Whether somebody who watches labels and trends should be told.
    pub(crate) fn has_changed(&self) -> bool {
        self.label_changed() || self.risk_trend != self.previous_trend
    }

    pub(crate) fn label_changed(&self) -> bool {
        self.label != self.previous_label
    }

    /// Since when a client without data has been silent.
    pub(crate) fn silent_since(&self) -> DateTime<Utc> {
        self.windows
            .messages
            .last_at
            .map_or(self.label_since, |last| last.max(self.label_since))
    }
}
