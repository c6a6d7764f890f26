//! What the rules do for a client: which nudge, whether an escalation, and why not.

use chrono::{DateTime, TimeDelta, Utc};
use common::{RiskLabel, Urgency};
use sha2::{Digest, Sha256};

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
    pub(crate) nudges_per_day_max: i64,
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

    /// What the client reads. Says nothing that a bystander could take a diagnosis from.
    pub(crate) const fn message(self) -> &'static str {
        match self {
            Self::CrisisResources => {
                "You do not have to go through this alone. Help is one tap away, at any hour."
            }
            Self::BuddyConnection => "Your buddy would be glad to hear from you. A short message is enough.",
            Self::CounselorEncouragement => {
                "Your counselor is there for you. Would you like to write a few lines?"
            }
            Self::CopingExercise => "Five minutes for yourself: shall we do a breathing exercise together?",
            Self::BuddySuggestion => "It has been quiet. Who would you like to say hello to today?",
            Self::GroupActivity => "There is something on with your group this week. Have a look?",
            Self::WellnessCheck => "How are you today? One word is fine.",
            Self::PositiveReinforcement => "You are keeping at it, day after day. That counts.",
        }
    }
}

/// What the client got already, as far as the limits count it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct NudgeHistory {
    pub(crate) last_24_hours: i64,
    pub(crate) since_label: i64,
    pub(crate) last_at: Option<DateTime<Utc>>,
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

/// Which nudge the rules chose, or why none.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NudgeDecision {
    pub(crate) eligible: Vec<NudgeType>,
    pub(crate) choice: NudgeChoice,
    /// With what probability the choice was made; `None` where it was not a choice.
    pub(crate) probability: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NudgeChoice {
    Send {
        nudge: NudgeType,
        send_after: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    },
    Withhold(Withheld),
}

/// Why there is no nudge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Withheld {
    DailyLimit,
    Spacing,
    QuietHours,
}

impl Withheld {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::DailyLimit => "daily_limit",
            Self::Spacing => "spacing",
            Self::QuietHours => "quiet_hours",
        }
    }
}

/// Chooses the nudge of this decision. `send_after` is the first instant that is not quiet for the client.
pub(crate) fn choose_nudge(
    profile: &Profile,
    history: &NudgeHistory,
    send_after: DateTime<Utc>,
) -> NudgeDecision {
    let plan = plan(profile.label);
    let now = profile.windows.now;
    let expires_at = now + plan.answer_due;
    let eligible = if history.since_label == 0 {
        vec![plan.first]
    } else {
        plan.then.to_vec()
    };
    let withheld = if history.last_24_hours >= plan.nudges_per_day_max {
        Some(Withheld::DailyLimit)
    } else if history
        .last_at
        .is_some_and(|last| now - last < plan.nudge_spacing)
    {
        Some(Withheld::Spacing)
    } else if send_after >= expires_at {
        Some(Withheld::QuietHours)
    } else {
        None
    };
    let (nudge, probability) = draw(&eligible, profile);
    let choice = match (withheld, nudge) {
        (None, Some(nudge)) => NudgeChoice::Send {
            nudge,
            send_after,
            expires_at,
        },
        (reason, _) => NudgeChoice::Withhold(reason.unwrap_or(Withheld::DailyLimit)),
    };
    let probability = if withheld.is_none() { probability } else { None };
    NudgeDecision {
        eligible,
        choice,
        probability,
    }
}

/// When a withheld nudge is thought of again: not before the spacing is over, nor in quiet hours.
pub(crate) fn reconsider_at(
    profile: &Profile,
    decision: &NudgeDecision,
    send_after: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    match decision.choice {
        NudgeChoice::Send { .. } => None,
        NudgeChoice::Withhold(_) => {
            Some(send_after.max(profile.windows.now + plan(profile.label).nudge_spacing))
        }
    }
}

/// Draws one of the eligible nudges, each as likely. The seed is made of what the decision is recorded with, so
/// that anybody can draw again and find the same.
fn draw(eligible: &[NudgeType], profile: &Profile) -> (Option<NudgeType>, Option<f64>) {
    let arms = eligible.len();
    if arms < 2 {
        return (eligible.first().copied(), None);
    }
    let seed = format!(
        "{}|{}|{}",
        profile.policy_version,
        profile.user_id,
        profile.windows.now.timestamp_micros()
    );
    let digest = Sha256::digest(seed.as_bytes());
    let drawn = digest
        .iter()
        .take(8)
        .fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a remainder of the number of arms"
    )]
    let index = (drawn % arms as u64) as usize;
    #[expect(clippy::cast_precision_loss, reason = "a handful of arms")]
    let probability = 1.0 / arms as f64;
    (eligible.get(index).copied(), Some(probability))
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

    fn history(last_24_hours: i64, since_label: i64, hours_ago: i64) -> NudgeHistory {
        let now = windows().now;
        NudgeHistory {
            last_24_hours,
            since_label,
            last_at: Some(now - TimeDelta::hours(hours_ago)),
        }
    }

    #[test]
    fn an_escalation_needs_a_new_label_or_new_evidence() {
        assert!(escalates(&profile(RiskLabel::High, RiskLabel::Low), false));
        assert!(escalates(&profile(RiskLabel::High, RiskLabel::High), true));
        assert!(!escalates(&profile(RiskLabel::High, RiskLabel::High), false));
        assert!(!escalates(&profile(RiskLabel::Moderate, RiskLabel::Low), true));
    }

    #[test]
    fn the_daily_limit_and_the_spacing_withhold_a_nudge() {
        let high = profile(RiskLabel::High, RiskLabel::High);
        let now = high.windows.now;
        let choice = |history| choose_nudge(&high, &history, now).choice;
        assert_eq!(
            choice(history(5, 5, 2)),
            NudgeChoice::Withhold(Withheld::DailyLimit)
        );
        assert_eq!(choice(history(1, 1, 0)), NudgeChoice::Withhold(Withheld::Spacing));
        assert!(matches!(
            choice(history(4, 4, 1)),
            NudgeChoice::Send {
                nudge: NudgeType::CrisisResources,
                ..
            }
        ));
    }

    #[test]
    fn a_nudge_that_would_be_out_of_date_after_quiet_hours_is_withheld() {
        let high = profile(RiskLabel::High, RiskLabel::Low);
        let morning = high.windows.now + TimeDelta::hours(9);
        let decision = choose_nudge(&high, &NudgeHistory::default(), morning);
        assert_eq!(decision.choice, NudgeChoice::Withhold(Withheld::QuietHours));
        let moderate = profile(RiskLabel::Moderate, RiskLabel::Low);
        let decision = choose_nudge(&moderate, &NudgeHistory::default(), morning);
        assert!(matches!(decision.choice, NudgeChoice::Send { send_after, .. } if send_after == morning));
    }

    #[test]
    fn the_first_nudge_is_fixed_and_the_later_ones_are_drawn_with_their_probability() {
        let moderate = profile(RiskLabel::Moderate, RiskLabel::Low);
        let now = moderate.windows.now;
        let first = choose_nudge(&moderate, &NudgeHistory::default(), now);
        assert_eq!(
            (first.eligible, first.probability),
            (vec![NudgeType::BuddyConnection], None)
        );
        let later = choose_nudge(&moderate, &history(1, 1, 12), now);
        assert_eq!(later.probability, Some(0.5));
        assert_eq!(
            later,
            choose_nudge(&moderate, &history(1, 1, 12), now),
            "the same facts draw the same"
        );
    }

    #[test]
    fn each_arm_is_drawn_about_as_often() {
        let drawn = (0..1_000).filter(|micros| {
            let mut moderate = profile(RiskLabel::Moderate, RiskLabel::Low);
            moderate.windows.now += TimeDelta::microseconds(*micros);
            let now = moderate.windows.now;
            let choice = choose_nudge(&moderate, &history(1, 1, 12), now).choice;
            matches!(
                choice,
                NudgeChoice::Send {
                    nudge: NudgeType::CopingExercise,
                    ..
                }
            )
        });
        assert!((430..=570).contains(&drawn.count()));
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
