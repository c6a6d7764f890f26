//! What the rules do for a client: which nudge, whether an escalation, and why not.

use chrono::{DateTime, TimeDelta, Utc};
use common::{RiskLabel, Urgency};

use super::profile::{Profile, Standing};

/// A client without data gets a wellness check after so many silent days.
const SILENT_DAYS: i64 = 3;
/// So many predictions of the last 30 days are full confidence; a trend needs as many.
const CONFIDENT_PREDICTIONS: f64 = 5.0;

/// What a label asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) urgency: Urgency,
    /// How soon an answer is due; a nudge that comes later than this is out of date.
    pub(crate) answer_due: TimeDelta,
    /// Nudges in 24 hours, at most.
    pub(crate) nudges_per_day_max: usize,
    /// Between two nudges, at least.
    pub(crate) nudge_spacing: TimeDelta,
    /// The first nudge after the label was given.
    pub(crate) first: NudgeType,
    /// What the later ones are chosen from, each as likely.
    pub(crate) then: &'static [NudgeType],
}

/// The table of interventions per label.
pub(crate) const fn plan(label: RiskLabel) -> Plan {
    use NudgeType as N;
    let (urgency, hours, per_day, spacing_hours, first, then): (_, _, _, _, _, &'static [N]) = match label {
        RiskLabel::High => (
            Urgency::Critical,
            2,
            5,
            1,
            N::CrisisResources,
            &[N::CrisisResources],
        ),
        RiskLabel::Moderate => (
            Urgency::High,
            24,
            2,
            12,
            N::BuddyConnection,
            &[N::CounselorEncouragement, N::CopingExercise],
        ),
        RiskLabel::IsolationOnly => (
            Urgency::Medium,
            48,
            2,
            24,
            N::BuddySuggestion,
            &[N::GroupActivity, N::WellnessCheck],
        ),
        RiskLabel::Low => (
            Urgency::Low,
            168,
            1,
            72,
            N::PositiveReinforcement,
            &[N::PositiveReinforcement],
        ),
        RiskLabel::Unknown => (Urgency::Low, 168, 1, 72, N::WellnessCheck, &[N::WellnessCheck]),
    };
    Plan {
        urgency,
        answer_due: TimeDelta::hours(hours),
        nudges_per_day_max: per_day,
        nudge_spacing: TimeDelta::hours(spacing_hours),
        first,
        then,
    }
}

/// A category of nudge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NudgeType {
    CrisisResources,
    BuddyConnection,
    CounselorEncouragement,
    CopingExercise,
    BuddySuggestion,
    GroupActivity,
    WellnessCheck,
    PositiveReinforcement,
}

impl NudgeType {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::CrisisResources => "crisis_resources",
            Self::BuddyConnection => "buddy_connection",
            Self::CounselorEncouragement => "counselor_encouragement",
            Self::CopingExercise => "coping_exercise",
            Self::BuddySuggestion => "buddy_suggestion",
            Self::GroupActivity => "group_activity",
            Self::WellnessCheck => "wellness_check",
            Self::PositiveReinforcement => "positive_reinforcement",
        }
    }
}

/// Whether the rules decide anew: the label changed, something high-risk came, the time between two nudges is over, or
/// a withheld nudge is to be thought of again. In between nothing could be decided, so nothing is recorded.
pub(crate) fn is_due(profile: &Profile, high_risk_evidence: bool, standing: &Standing) -> bool {
    let now = profile.windows.now;
    if profile.label == RiskLabel::Unknown {
        return now >= wellness_check_due_at(profile.silent_since(), standing.last_decision_at);
    }
    let spacing = plan(profile.label).nudge_spacing;
    profile.label_changed()
        || (profile.label == RiskLabel::High && high_risk_evidence)
        || standing.last_decision_at.is_none_or(|last| now - last >= spacing)
        || standing.nudge_reconsider_at.is_some_and(|at| now >= at)
}

/// Whether an escalation is raised or joined: the label became high, or stays high on new evidence.
pub(crate) fn escalates(profile: &Profile, high_risk_evidence: bool) -> bool {
    profile.label == RiskLabel::High && (profile.label_changed() || high_risk_evidence)
}

/// When a profile must be computed again although nothing is written: time changes an input, a withheld nudge is to be
/// thought of again, or it is time to ask a client without data.
pub(crate) fn next_recompute_at(
    profile: &Profile,
    last_decision_at: Option<DateTime<Utc>>,
    nudge_reconsider_at: Option<DateTime<Utc>>,
) -> Option<DateTime<Utc>> {
    let wellness_check = (profile.label == RiskLabel::Unknown)
        .then(|| wellness_check_due_at(profile.silent_since(), last_decision_at));
    let reconsider = nudge_reconsider_at.filter(|_| profile.label != RiskLabel::Unknown);
    profile
        .windows
        .next_change_at()
        .into_iter()
        .chain(wellness_check)
        .chain(reconsider)
        .min()
}

/// When a client without data is asked how they are.
pub(crate) fn wellness_check_due_at(
    silent_since: DateTime<Utc>,
    last_decision_at: Option<DateTime<Utc>>,
) -> DateTime<Utc> {
    let first = silent_since + TimeDelta::days(SILENT_DAYS);
    let again = last_decision_at.map(|last| last + plan(RiskLabel::Unknown).nudge_spacing);
    again.map_or(first, |again| first.max(again))
}

/// How much data a decision rests on, in 0..=1.
pub(crate) fn confidence(profile: &Profile) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a count of one client's predictions")]
    let found = profile.windows.medium.count as f64;
    (found / CONFIDENT_PREDICTIONS).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::super::profile::Profile;
    use super::super::windows::tests::windows;
    use super::*;
    use common::Trend;

    fn profile(label: RiskLabel, previous: RiskLabel) -> Profile {
        let windows = windows();
        Profile {
            user_id: "client-001".into(),
            risk_trend: Trend::Stable,
            isolation_trend: Trend::Stable,
            label,
            label_since: windows.now,
            previous_label: previous,
            previous_trend: Trend::Stable,
            reasons: Vec::new(),
            policy_version: "fusion_v2".into(),
            windows,
        }
    }

    #[test]
    fn an_escalation_needs_a_new_label_or_new_evidence() {
        assert!(escalates(&profile(RiskLabel::High, RiskLabel::Low), false));
        assert!(escalates(&profile(RiskLabel::High, RiskLabel::High), true));
        assert!(!escalates(&profile(RiskLabel::High, RiskLabel::High), false));
        assert!(!escalates(&profile(RiskLabel::Moderate, RiskLabel::Low), true));
    }

    fn standing(last_decision_at: Option<DateTime<Utc>>) -> Standing {
        Standing {
            user_id: "client-001".into(),
            label: RiskLabel::Unknown,
            label_since: windows().now,
            risk_trend: Trend::Stable,
            last_decision_at,
            nudge_reconsider_at: None,
        }
    }

    #[test]
    fn a_client_without_data_is_asked_after_three_silent_days() {
        let mut unknown = profile(RiskLabel::Unknown, RiskLabel::Unknown);
        assert!(!is_due(&unknown, false, &standing(None)));
        unknown.windows.now += TimeDelta::days(3);
        assert!(is_due(&unknown, false, &standing(None)));
        assert!(!is_due(
            &unknown,
            false,
            &standing(Some(unknown.windows.now - TimeDelta::hours(71)))
        ));
    }
}
