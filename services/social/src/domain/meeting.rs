//! Meetings: what each may become next, and what it leads to when the client does not come.

use chrono::{DateTime, TimeDelta, Utc};
use common::{EscalationType, MeetingStatus, RiskLabel};
use serde_json::json;

use crate::domain::escalation::Trigger;
use crate::domain::intervention::plan;

/// Minutes of a meeting of which nothing else is said.
pub(crate) const DEFAULT_MINUTES: i32 = 30;
/// Nobody thinks of a meeting that is further ahead.
pub(crate) const MAX_AHEAD_DAYS: i64 = 365;
/// Clients are reminded so many hours before.
pub(crate) const REMINDER_HOURS: i64 = 24;

/// When a meeting takes place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) starts_at: DateTime<Utc>,
    pub(crate) minutes: i32,
}

impl Slot {
    pub(crate) fn ends_at(self) -> DateTime<Utc> {
        self.starts_at + TimeDelta::minutes(i64::from(self.minutes))
    }
}

/// What the next move of a meeting depends on.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) status: MeetingStatus,
    /// `None` while its time is open.
    pub(crate) slot: Option<Slot>,
    /// `None` while any counselor may take it.
    pub(crate) counselor_id: Option<String>,
    /// Whether the client agreed to it.
    pub(crate) is_agreed: bool,
}

/// Why a meeting is not moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Its state does not allow it.
    Is(MeetingStatus),
    /// Its time has passed.
    Past,
    /// It has not begun.
    Ahead,
    /// The client has not agreed.
    NotAgreed,
    /// Another counselor has it.
    OfAnother,
    /// Nobody has said when it takes place.
    WithoutTime,
    /// The client agreed to another time.
    AtAnotherTime,
}

impl Standing {
    /// Whether the client may agree to it.
    pub(crate) fn agree(&self, now: DateTime<Utc>) -> Result<(), Refusal> {
        match self.status {
            MeetingStatus::Proposed | MeetingStatus::Scheduled => self.must_not_have_begun(now),
            MeetingStatus::Confirmed
            | MeetingStatus::Completed
            | MeetingStatus::NoShow
            | MeetingStatus::Cancelled => Err(Refusal::Is(self.status)),
        }
    }

    /// When it takes place if this counselor confirms it now; a time need be named only where it has none. A proposal is
    /// taken by who confirms it. A time that was kept is its counselor's; where that person has left, any counselor's.
    pub(crate) fn confirm(
        &self,
        counselor: &str,
        named: Option<Slot>,
        now: DateTime<Utc>,
    ) -> Result<Slot, Refusal> {
        let is_anothers = self.counselor_id.as_deref().is_some_and(|id| id != counselor);
        match self.status {
            MeetingStatus::Proposed => {}
            MeetingStatus::Scheduled if is_anothers => return Err(Refusal::OfAnother),
            MeetingStatus::Scheduled => {}
            MeetingStatus::Confirmed if self.counselor_id.is_none() => {}
            MeetingStatus::Confirmed
            | MeetingStatus::Completed
            | MeetingStatus::NoShow
            | MeetingStatus::Cancelled => return Err(Refusal::Is(self.status)),
        }
        if !self.is_agreed {
            return Err(Refusal::NotAgreed);
        }
        self.must_not_have_begun(now)?;
        match (self.slot, named) {
            (Some(slot), Some(named)) if slot != named => Err(Refusal::AtAnotherTime),
            (Some(slot), _) | (None, Some(slot)) => Ok(slot),
            (None, None) => Err(Refusal::WithoutTime),
        }
    }

    /// Whether it may be said now how it went.
    pub(crate) fn end(&self, now: DateTime<Utc>) -> Result<(), Refusal> {
        if self.status != MeetingStatus::Confirmed {
            return Err(Refusal::Is(self.status));
        }
        if self.slot.is_some_and(|slot| slot.starts_at > now) {
            return Err(Refusal::Ahead);
        }
        Ok(())
    }

    /// Whether it may be called off.
    pub(crate) fn cancel(&self) -> Result<(), Refusal> {
        match self.status {
            MeetingStatus::Proposed | MeetingStatus::Scheduled | MeetingStatus::Confirmed => Ok(()),
            MeetingStatus::Completed | MeetingStatus::NoShow | MeetingStatus::Cancelled => {
                Err(Refusal::Is(self.status))
            }
        }
    }

    fn must_not_have_begun(&self, now: DateTime<Utc>) -> Result<(), Refusal> {
        if self.slot.is_some_and(|slot| slot.starts_at <= now) {
            Err(Refusal::Past)
        } else {
            Ok(())
        }
    }
}

/// Whom a missed meeting calls: of a client at high risk, everybody whom an escalation tells.
pub(crate) fn missed(user_id: &str, meeting_id: i64, label: RiskLabel) -> Option<Trigger> {
    (label == RiskLabel::High).then(|| Trigger {
        user_id: user_id.to_owned(),
        escalation_type: EscalationType::Silence,
        urgency: plan(label).urgency,
        risk_score: None,
        risk_level: label.as_str().to_owned(),
        reason: "The client did not come to a meeting.".to_owned(),
        data: json!([{"code": "missed_meeting", "meeting_id": meeting_id}]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_781_524_800, 0).unwrap_or_default()
    }

    fn slot(in_minutes: i64) -> Slot {
        Slot {
            starts_at: now() + TimeDelta::minutes(in_minutes),
            minutes: 30,
        }
    }

    fn standing(status: MeetingStatus, in_minutes: Option<i64>) -> Standing {
        Standing {
            status,
            slot: in_minutes.map(slot),
            counselor_id: Some("mine".to_owned()),
            is_agreed: true,
        }
    }

    #[test]
    fn what_is_open_is_agreed_to_confirmed_and_cancelled_and_what_is_over_is_not() {
        use MeetingStatus as S;
        for (status, agrees, confirms, ends, cancels) in [
            (S::Proposed, true, true, false, true),
            (S::Scheduled, true, true, false, true),
            (S::Confirmed, false, false, true, true),
            (S::Completed, false, false, false, false),
            (S::NoShow, false, false, false, false),
            (S::Cancelled, false, false, false, false),
        ] {
            let (ahead, begun) = (standing(status, Some(10)), standing(status, Some(-10)));
            assert_eq!(ahead.agree(now()).is_ok(), agrees, "{status} agree");
            assert_eq!(
                ahead.confirm("mine", None, now()).is_ok(),
                confirms,
                "{status} confirm"
            );
            assert_eq!(begun.end(now()).is_ok(), ends, "{status} end");
            assert_eq!(ahead.cancel().is_ok(), cancels, "{status} cancel");
        }
    }

    #[test]
    fn each_reason_against_a_confirmation_is_told_apart() {
        use MeetingStatus as S;
        let not_agreed = Standing {
            is_agreed: false,
            ..standing(S::Proposed, Some(10))
        };
        let left = Standing {
            counselor_id: None,
            ..standing(S::Confirmed, Some(10))
        };
        for (meeting, counselor, named, expected) in [
            (standing(S::Proposed, None), "mine", Some(slot(5)), Ok(slot(5))),
            (
                standing(S::Proposed, None),
                "mine",
                None,
                Err(Refusal::WithoutTime),
            ),
            (standing(S::Proposed, Some(10)), "other", None, Ok(slot(10))),
            (
                standing(S::Scheduled, Some(10)),
                "other",
                None,
                Err(Refusal::OfAnother),
            ),
            (
                standing(S::Scheduled, Some(10)),
                "mine",
                Some(slot(10)),
                Ok(slot(10)),
            ),
            (
                standing(S::Scheduled, Some(10)),
                "mine",
                Some(slot(11)),
                Err(Refusal::AtAnotherTime),
            ),
            (standing(S::Scheduled, Some(0)), "mine", None, Err(Refusal::Past)),
            (not_agreed, "mine", None, Err(Refusal::NotAgreed)),
            (left, "other", None, Ok(slot(10))),
        ] {
            assert_eq!(meeting.confirm(counselor, named, now()), expected, "{meeting:?}");
        }
    }

    #[test]
    fn a_meeting_that_has_not_begun_has_not_been_missed() {
        let ahead = standing(MeetingStatus::Confirmed, Some(1));
        assert_eq!(ahead.end(now()), Err(Refusal::Ahead));
    }

    #[test]
    fn only_a_client_at_high_risk_who_does_not_come_is_an_escalation() {
        assert!(missed("client", 1, RiskLabel::High).is_some());
        for label in [
            RiskLabel::Moderate,
            RiskLabel::IsolationOnly,
            RiskLabel::Low,
            RiskLabel::Unknown,
        ] {
            assert!(missed("client", 1, label).is_none(), "{label}");
        }
    }
}
