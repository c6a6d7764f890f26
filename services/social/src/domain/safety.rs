//! What cannot wait for a profile: a message that a check calls dangerous, and a client's own answers to a screener.

use chrono::{DateTime, Utc};
use common::{EscalationType, Urgency};
use serde_json::json;

use super::escalation::Trigger;

/// What a check finds, least first.
pub(crate) const LEVELS: &[&str] = &["low", "medium", HIGH];
/// The level that escalates.
pub(crate) const HIGH: &str = "high";

/// What a check of one message found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Finding {
    /// One of [`LEVELS`].
    pub(crate) risk_level: &'static str,
    /// Whether the app shows where help is; at [`HIGH`] it always does.
    pub(crate) show_crisis_banner: bool,
    pub(crate) emotion_label: Option<String>,
    /// In 0..=1.
    pub(crate) emotion_score: Option<f64>,
    pub(crate) policy_action: Option<String>,
    /// For staff.
    pub(crate) rationale: Option<String>,
    /// Whether a simpler check stood in for the usual one.
    pub(crate) degraded: bool,
}

impl Finding {
    /// What opens an episode, where the finding is one that escalates.
    pub(crate) fn trigger(&self, user_id: &str, message_id: i64) -> Option<Trigger> {
        (self.risk_level == HIGH).then(|| Trigger {
            user_id: user_id.to_owned(),
            escalation_type: EscalationType::Safety,
            urgency: Urgency::Critical,
            risk_score: None,
            risk_level: HIGH.to_owned(),
            reason: "A safety check calls a message of the client dangerous.".to_owned(),
            data: json!({"message_id": message_id, "rationale": self.rationale, "degraded": self.degraded}),
        })
    }
}

/// When somebody did something to end their life, or prepared to: item 6.
pub(crate) const BEHAVIOURS: &[&str] = &["never", EARLIER, RECENT];
const EARLIER: &str = "earlier";
const RECENT: &str = "past_three_months";

/// Answers to the screen version of the Columbia Suicide Severity Rating Scale; the first five are about the past month.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "the screener's own yes-or-no items")]
pub(crate) struct Screener {
    pub(crate) answered_at: DateTime<Utc>,
    pub(crate) wish_to_be_dead: bool,
    pub(crate) suicidal_thoughts: bool,
    pub(crate) thoughts_of_method: bool,
    pub(crate) intent: bool,
    pub(crate) plan_with_intent: bool,
    /// One of [`BEHAVIOURS`].
    pub(crate) behaviour: &'static str,
}

impl Screener {
    /// How soon somebody must answer, by the triage of the scale's own screener; `None` where every answer was no.
    pub(crate) fn urgency(&self) -> Option<Urgency> {
        if self.intent || self.plan_with_intent || self.behaviour == RECENT {
            Some(Urgency::Critical)
        } else if self.thoughts_of_method || self.behaviour == EARLIER {
            Some(Urgency::High)
        } else if self.wish_to_be_dead || self.suicidal_thoughts {
            Some(Urgency::Medium)
        } else {
            None
        }
    }

    /// What opens an episode. A wish alone is for the counselor to talk about: it is shown, and pages nobody.
    pub(crate) fn trigger(&self, user_id: &str) -> Option<Trigger> {
        let urgency = self.urgency().filter(|urgency| *urgency >= Urgency::High)?;
        Some(Trigger {
            user_id: user_id.to_owned(),
            escalation_type: EscalationType::Safety,
            urgency,
            risk_score: None,
            risk_level: urgency.as_str().to_owned(),
            reason: "The client's answers to the C-SSRS screener.".to_owned(),
            data: json!({
                "answered_at": self.answered_at,
                "thoughts_of_method": self.thoughts_of_method,
                "intent": self.intent,
                "plan_with_intent": self.plan_with_intent,
                "behaviour": self.behaviour,
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers by item, 1 to 5, and what was done.
    fn answers(items: &[usize], behaviour: &'static str) -> Screener {
        let yes = |item| items.contains(&item);
        Screener {
            answered_at: DateTime::UNIX_EPOCH,
            wish_to_be_dead: yes(1),
            suicidal_thoughts: yes(2),
            thoughts_of_method: yes(3),
            intent: yes(4),
            plan_with_intent: yes(5),
            behaviour,
        }
    }

    #[test]
    fn intent_a_plan_or_what_was_done_lately_is_critical_whatever_else_was_answered() {
        for (items, behaviour, urgency) in [
            (&[][..], "never", None),
            (&[1], "never", Some(Urgency::Medium)),
            (&[2], "never", Some(Urgency::Medium)),
            (&[1, 2, 3], "never", Some(Urgency::High)),
            (&[], "earlier", Some(Urgency::High)),
            (&[4], "never", Some(Urgency::Critical)),
            (&[5], "never", Some(Urgency::Critical)),
            (&[1, 2, 3, 4, 5], "earlier", Some(Urgency::Critical)),
            (&[], "past_three_months", Some(Urgency::Critical)),
        ] {
            let screener = answers(items, behaviour);
            assert_eq!(screener.urgency(), urgency, "{items:?} {behaviour}");
            let pages = screener.trigger("client-a").map(|trigger| trigger.urgency);
            assert_eq!(
                pages,
                urgency.filter(|urgency| *urgency >= Urgency::High),
                "{items:?} {behaviour}"
            );
        }
    }
}
