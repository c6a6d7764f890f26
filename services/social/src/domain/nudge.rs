//! Whether a client gets a nudge, which one and when: limits, hours and channels bind nudges of every source alike.

use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use common::{RiskLabel, UnknownWord, Urgency};
use sha2::{Digest, Sha256};

use super::intervention::{NudgeType, Plan, plan};
use super::profile::Profile;
use super::quiet::{Hours, earliest_send};
use super::template::{Reader, Templates, Text};

/// What reached a client longer ago counts for no limit: no plan has a longer spacing.
pub(crate) const BUDGET_HOURS: i32 = 72;
/// In what time a plan counts its nudges.
const DAY: TimeDelta = TimeDelta::hours(24);

/// The longest kind of nudge.
const MAX_KIND_BYTES: usize = 100;

/// Whether a word may be a kind of nudge: it travels in events, which carry no text that somebody wrote.
pub(crate) fn is_kind(word: &str) -> bool {
    is_code(word, MAX_KIND_BYTES)
}

/// Whether a word is of lower-case letters, digits and underscores.
pub(crate) fn is_code(word: &str, max_bytes: usize) -> bool {
    let of_code = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (1..=max_bytes).contains(&word.len()) && word.bytes().all(of_code)
}

/// Who wants a client to have a nudge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Rule,
    Reco,
    Staff,
    /// A reminder of what the client agreed to: no limit is in its way, and it is in no other nudge's.
    Meeting,
}

impl Source {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::Reco => "reco",
            Self::Staff => "staff",
            Self::Meeting => "meeting",
        }
    }
}

impl FromStr for Source {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        [Self::Rule, Self::Reco, Self::Staff, Self::Meeting]
            .into_iter()
            .find(|source| source.as_str() == word)
            .ok_or(UnknownWord(&["rule", "reco", "staff", "meeting"]))
    }
}

/// How a nudge reaches a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    /// It waits in the app.
    InApp,
    /// The app calls for attention as well.
    Push,
}

impl Channel {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::InApp => "in_app",
            Self::Push => "push",
        }
    }

    /// The channel of a client who chose push, or did not decline the app. E-mail and text messages carry no nudges.
    pub(crate) fn preferred(in_app: Option<bool>, push: Option<bool>) -> Option<Self> {
        match (in_app, push) {
            (_, Some(true)) => Some(Self::Push),
            (Some(false), _) => None,
            (Some(true) | None, _) => Some(Self::InApp),
        }
    }
}

/// Why there is no nudge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Withheld {
    /// The client wants none on any way that there is.
    Channels,
    DailyLimit,
    Spacing,
    /// It would be out of date when quiet hours end, or they never do.
    QuietHours,
    /// There is no text for it.
    NoTemplate,
    /// In a crisis nothing is offered that was drawn.
    Crisis,
}

impl Withheld {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Channels => "channels",
            Self::DailyLimit => "daily_limit",
            Self::Spacing => "spacing",
            Self::QuietHours => "quiet_hours",
            Self::NoTemplate => "no_template",
            Self::Crisis => "crisis",
        }
    }
}

/// What a decision about a nudge must know of a client, besides the profile.
#[derive(Clone, Debug)]
pub(crate) struct Circumstances {
    pub(crate) now: DateTime<Utc>,
    pub(crate) zone: Tz,
    pub(crate) hours: Hours,
    /// `None` where the client wants no nudges.
    pub(crate) channel: Option<Channel>,
    pub(crate) reader: Reader,
    /// Whether a critical escalation is open.
    pub(crate) in_crisis: bool,
    /// When nudges of any source reached the client, or will, within [`BUDGET_HOURS`].
    pub(crate) reached: Vec<DateTime<Utc>>,
    /// Nudges of the rules since the label was given.
    pub(crate) since_label: i64,
}

/// When and how a nudge reaches a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) channel: Channel,
    pub(crate) send_after: DateTime<Utc>,
}

impl Circumstances {
    /// When a nudge can go that goes not before `from`, or why it is withheld.
    pub(crate) fn slot(
        &self,
        plan: &Plan,
        from: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    ) -> Result<Slot, Withheld> {
        let channel = self.channel.ok_or(Withheld::Channels)?;
        let send_after = earliest_send(from, self.zone, &self.hours).ok_or(Withheld::QuietHours)?;
        if let Some(reason) = over_budget(plan, &self.reached, send_after) {
            Err(reason)
        } else if send_after >= expires_at {
            Err(Withheld::QuietHours)
        } else {
            Ok(Slot { channel, send_after })
        }
    }
}

/// Which limit a nudge that reaches the client at this time would break, beside the others. What still waits is in the way
/// of all but what is critical, and is looked at again when its time comes.
fn over_budget(plan: &Plan, reached: &[DateTime<Utc>], at: DateTime<Utc>) -> Option<Withheld> {
    let counted = |time: &&DateTime<Utc>| plan.urgency != Urgency::Critical || **time <= at;
    let reached: Vec<DateTime<Utc>> = reached.iter().filter(counted).copied().collect();
    // Every day that has this nudge in it begins with one, or with this one.
    let mut days = reached
        .iter()
        .chain([&at])
        .filter(|from| **from <= at && at < **from + DAY);
    let in_day = |from: DateTime<Utc>| {
        reached
            .iter()
            .filter(|time| (from..from + DAY).contains(time))
            .count()
    };
    if days.any(|from| in_day(*from) >= plan.nudges_per_day_max) {
        Some(Withheld::DailyLimit)
    } else if reached.iter().any(|time| (at - *time).abs() < plan.nudge_spacing) {
        Some(Withheld::Spacing)
    } else {
        None
    }
}

/// From when on no limit is in the way of a nudge.
fn free_from(plan: &Plan, reached: &[DateTime<Utc>], now: DateTime<Utc>) -> DateTime<Utc> {
    let ends = reached
        .iter()
        .flat_map(|time| [*time + plan.nudge_spacing, *time + DAY]);
    ends.filter(|end| *end >= now && over_budget(plan, reached, *end).is_none())
        .min()
        .unwrap_or(now)
}

/// What becomes of a nudge whose time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    Send(Channel),
    /// Something is in the way until then.
    Hold(DateTime<Utc>),
    Expire,
    Withhold(Withheld),
}

/// Looks once more at what was looked at when the nudge was made: since then the client may have moved, changed hours or
/// channels, or got another one.
pub(crate) fn release(
    of: &Circumstances,
    (source, label): (Source, RiskLabel),
    expires_at: DateTime<Utc>,
) -> Release {
    if expires_at <= of.now {
        return Release::Expire;
    }
    let plan = match source {
        Source::Meeting => Plan {
            nudges_per_day_max: usize::MAX,
            nudge_spacing: TimeDelta::zero(),
            ..plan(label)
        },
        Source::Rule | Source::Reco | Source::Staff => plan(label),
    };
    let reason = match of.slot(&plan, of.now, expires_at) {
        Ok(slot) if slot.send_after <= of.now => return Release::Send(slot.channel),
        Ok(slot) => return Release::Hold(slot.send_after),
        Err(reason) => reason,
    };
    let again = earliest_send(free_from(&plan, &of.reached, of.now), of.zone, &of.hours);
    match again {
        Some(at) if of.channel.is_some() && at > of.now && at < expires_at => Release::Hold(at),
        Some(_) | None => Release::Withhold(reason),
    }
}

/// A nudge that there was to choose from, and its text; without one it was not eligible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arm {
    pub(crate) nudge: NudgeType,
    pub(crate) text: Option<Text>,
}

/// Which nudge the rules chose, or why none.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NudgeDecision {
    pub(crate) arms: Vec<Arm>,
    pub(crate) choice: NudgeChoice,
    /// With what the choice was drawn; `None` where it was not a choice.
    pub(crate) drawn: Option<Drawn>,
}

impl NudgeDecision {
    /// What could be chosen.
    pub(crate) fn eligible(&self) -> impl Iterator<Item = NudgeType> {
        let eligible = self.arms.iter().filter(|arm| arm.text.is_some());
        eligible.map(|arm| arm.nudge)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NudgeChoice {
    Send {
        nudge: NudgeType,
        text: Text,
        slot: Slot,
        expires_at: DateTime<Utc>,
    },
    Withhold(Withheld),
}

/// How a choice among several was made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Drawn {
    /// Of `n` eligible nudges the one at place `seed` modulo `n` was chosen.
    pub(crate) seed: i64,
    pub(crate) probability: f64,
}

/// Chooses the nudge of this decision. Nothing is drawn for a client in a crisis: they get what stands first.
pub(crate) fn choose_nudge(profile: &Profile, of: &Circumstances, templates: &Templates) -> NudgeDecision {
    let plan = plan(profile.label);
    let now = profile.windows.now;
    let expires_at = now + plan.answer_due;
    let first = [plan.first];
    let kinds = if of.since_label == 0 {
        first.as_slice()
    } else {
        plan.then
    };
    let arms: Vec<Arm> = kinds
        .iter()
        .map(|nudge| Arm {
            nudge: *nudge,
            text: templates.text(nudge.as_str(), &of.reader),
        })
        .collect();
    let eligible: Vec<(NudgeType, &Text)> = arms
        .iter()
        .filter_map(|arm| Some((arm.nudge, arm.text.as_ref()?)))
        .collect();
    let is_crisis = profile.label == RiskLabel::High || of.in_crisis;
    let seed = (eligible.len() > 1 && !is_crisis).then(|| seed(profile));
    let slot = of.slot(&plan, now, expires_at);
    let (choice, drawn) = match (slot, place(&eligible, seed)) {
        (Err(reason), _) => (NudgeChoice::Withhold(reason), None),
        (Ok(_), None) => (NudgeChoice::Withhold(Withheld::NoTemplate), None),
        (Ok(slot), Some((nudge, text))) => {
            let choice = NudgeChoice::Send {
                nudge: *nudge,
                text: (*text).clone(),
                slot,
                expires_at,
            };
            (choice, seed.map(|seed| drawn(seed, eligible.len())))
        }
    };
    NudgeDecision { arms, choice, drawn }
}

/// When a withheld nudge is thought of again: not before the spacing is over, nor in quiet hours.
pub(crate) fn reconsider_at(
    profile: &Profile,
    decision: &NudgeDecision,
    of: &Circumstances,
) -> Option<DateTime<Utc>> {
    let now = profile.windows.now;
    match decision.choice {
        NudgeChoice::Send { .. } => None,
        NudgeChoice::Withhold(_) => {
            let spaced = now + plan(profile.label).nudge_spacing;
            let open = earliest_send(now, of.zone, &of.hours);
            Some(open.map_or(spaced, |open| open.max(spaced)))
        }
    }
}

/// The one that the seed falls on, and without a seed the first.
fn place<T>(eligible: &[T], seed: Option<i64>) -> Option<&T> {
    let count = i64::try_from(eligible.len()).ok()?;
    let place = seed.unwrap_or(0).checked_rem(count)?;
    eligible.get(usize::try_from(place).ok()?)
}

/// Made of what the decision is recorded with, so that anybody can draw again and find the same.
fn seed(profile: &Profile) -> i64 {
    let state = format!(
        "{}|{}|{}",
        profile.policy_version,
        profile.user_id,
        profile.windows.now.timestamp_micros()
    );
    let digest = Sha256::digest(state.as_bytes());
    let number = digest
        .iter()
        .take(8)
        .fold(0_i64, |number, byte| (number << 8) | i64::from(*byte));
    // Without its sign.
    number & i64::MAX
}

/// Each of them was as likely.
fn drawn(seed: i64, arms: usize) -> Drawn {
    #[expect(clippy::cast_precision_loss, reason = "a handful of arms")]
    let probability = 1.0 / arms as f64;
    Drawn { seed, probability }
}

#[cfg(test)]
mod tests {
    use super::super::template::Template;
    use super::super::windows::tests::windows;
    use super::*;
    use common::Trend;

    fn profile(label: RiskLabel) -> Profile {
        let windows = windows();
        Profile {
            user_id: "client-001".into(),
            risk_trend: Trend::Stable,
            isolation_trend: Trend::Stable,
            label,
            label_since: windows.now,
            previous_label: label,
            previous_trend: Trend::Stable,
            reasons: Vec::new(),
            policy_version: "fusion_v2".into(),
            windows,
        }
    }

    /// Nudges that reached the client so many hours ago.
    fn after(hours_ago: &[i64]) -> Circumstances {
        let now = windows().now;
        Circumstances {
            now,
            zone: Tz::UTC,
            hours: always(),
            channel: Some(Channel::InApp),
            reader: Reader::default(),
            in_crisis: false,
            reached: hours_ago.iter().map(|ago| now - TimeDelta::hours(*ago)).collect(),
            since_label: i64::try_from(hours_ago.len()).unwrap_or_default(),
        }
    }

    fn hours(start: &str, end: &str) -> Hours {
        Hours::stated(&serde_json::json!({"start": start, "end": end})).unwrap_or_default()
    }

    fn always() -> Hours {
        hours("00:00", "23:59")
    }

    fn texts_but(without: &[NudgeType]) -> Templates {
        let kinds = [
            NudgeType::CrisisResources,
            NudgeType::BuddyConnection,
            NudgeType::CounselorEncouragement,
            NudgeType::CopingExercise,
        ];
        let kept = kinds.into_iter().filter(|kind| !without.contains(kind));
        let template = |kind: NudgeType| Template {
            template_id: 1,
            nudge_type: kind.as_str().to_owned(),
            locale: "en".to_owned(),
            message: "text".to_owned(),
        };
        Templates(kept.map(template).collect())
    }

    fn choice(label: RiskLabel, of: &Circumstances) -> NudgeDecision {
        choose_nudge(&profile(label), of, &texts_but(&[]))
    }

    fn withheld(label: RiskLabel, of: &Circumstances) -> Option<Withheld> {
        match choice(label, of).choice {
            NudgeChoice::Withhold(reason) => Some(reason),
            NudgeChoice::Send { .. } => None,
        }
    }

    #[test]
    fn the_daily_limit_and_the_spacing_withhold_a_nudge() {
        use RiskLabel::High;
        assert_eq!(
            withheld(High, &after(&[2, 4, 6, 8, 10])),
            Some(Withheld::DailyLimit)
        );
        assert_eq!(withheld(High, &after(&[0])), Some(Withheld::Spacing));
        assert_eq!(withheld(High, &after(&[1, 3, 5, 7])), None);
        assert_eq!(withheld(High, &after(&[1, 3, 5, 7, 24])), None);
    }

    #[test]
    fn no_day_has_more_than_the_limit_whenever_a_nudge_comes_in_between() {
        let plan = Plan {
            nudge_spacing: TimeDelta::zero(),
            ..plan(RiskLabel::Moderate)
        };
        let now = windows().now;
        let at = |hours: i64| now + TimeDelta::hours(hours);
        // Two a day: one before and one after within the same day leave no room.
        assert_eq!(
            over_budget(&plan, &[at(-12), at(11)], now),
            Some(Withheld::DailyLimit)
        );
        assert_eq!(over_budget(&plan, &[at(-12), at(12)], now), None);
        assert_eq!(
            over_budget(&plan, &[at(1), at(2)], now),
            Some(Withheld::DailyLimit)
        );
    }

    #[test]
    fn what_still_waits_is_in_the_way_of_all_but_what_is_critical() {
        for (label, expected) in [
            (RiskLabel::High, None),
            (RiskLabel::Moderate, Some(Withheld::Spacing)),
        ] {
            assert_eq!(withheld(label, &after(&[-1])), expected, "{label}");
        }
        assert_eq!(withheld(RiskLabel::Moderate, &after(&[-12])), None);
    }

    #[test]
    fn limits_reach_no_further_back_than_nudges_are_read() {
        for label in [
            RiskLabel::High,
            RiskLabel::Moderate,
            RiskLabel::IsolationOnly,
            RiskLabel::Low,
            RiskLabel::Unknown,
        ] {
            let read = TimeDelta::hours(BUDGET_HOURS.into());
            assert!(plan(label).nudge_spacing <= read && DAY <= read, "{label}");
        }
    }

    #[test]
    fn a_nudge_that_would_be_out_of_date_after_quiet_hours_is_withheld() {
        let now = windows().now;
        let later = |by: i64| (now + TimeDelta::hours(by)).format("%H:%M").to_string();
        let of = Circumstances {
            hours: hours(&later(9), &later(10)),
            ..after(&[])
        };
        assert_eq!(withheld(RiskLabel::High, &of), Some(Withheld::QuietHours));
        let NudgeChoice::Send { slot, .. } = choice(RiskLabel::Moderate, &of).choice else {
            unreachable!("it is good for a day")
        };
        let morning = (now + TimeDelta::hours(9)).timestamp() / 60;
        assert_eq!(slot.send_after.timestamp() / 60, morning);
    }

    #[test]
    fn a_client_who_declined_the_app_and_did_not_choose_push_gets_none() {
        for (in_app, push, expected) in [
            (None, None, Some(Channel::InApp)),
            (Some(true), Some(false), Some(Channel::InApp)),
            (None, Some(true), Some(Channel::Push)),
            (Some(false), Some(true), Some(Channel::Push)),
            (Some(false), None, None),
            (Some(false), Some(false), None),
        ] {
            assert_eq!(Channel::preferred(in_app, push), expected, "{in_app:?} {push:?}");
        }
        let of = Circumstances {
            channel: None,
            ..after(&[])
        };
        assert_eq!(withheld(RiskLabel::High, &of), Some(Withheld::Channels));
    }

    #[test]
    fn the_first_nudge_is_fixed_and_the_later_ones_are_drawn_with_their_probability() {
        let first = choice(RiskLabel::Moderate, &after(&[]));
        let eligible: Vec<NudgeType> = first.eligible().collect();
        assert_eq!((eligible, first.drawn), (vec![NudgeType::BuddyConnection], None));
        let later = choice(RiskLabel::Moderate, &after(&[12]));
        assert_eq!(later.drawn.map(|drawn| drawn.probability), Some(0.5));
        assert_eq!(
            later,
            choice(RiskLabel::Moderate, &after(&[12])),
            "the same facts draw the same"
        );
    }

    #[test]
    fn a_nudge_without_a_text_is_not_drawn_from_and_what_is_left_is_no_draw() {
        let moderate = profile(RiskLabel::Moderate);
        let of = after(&[12]);
        let left = choose_nudge(&moderate, &of, &texts_but(&[NudgeType::CopingExercise]));
        assert_eq!(
            (left.arms.len(), left.eligible().count(), left.drawn),
            (2, 1, None)
        );
        let none = [NudgeType::CopingExercise, NudgeType::CounselorEncouragement];
        let none = choose_nudge(&moderate, &of, &texts_but(&none));
        assert_eq!(none.choice, NudgeChoice::Withhold(Withheld::NoTemplate));
    }

    #[test]
    fn nothing_is_drawn_in_a_crisis() {
        let of = Circumstances {
            in_crisis: true,
            ..after(&[12])
        };
        let fixed = choice(RiskLabel::Moderate, &of);
        assert_eq!(fixed.drawn, None);
        let NudgeChoice::Send { nudge, .. } = fixed.choice else {
            unreachable!("nothing is in the way")
        };
        assert_eq!(nudge, NudgeType::CounselorEncouragement);
        assert_eq!(choice(RiskLabel::High, &after(&[1])).drawn, None);
    }

    #[test]
    fn each_arm_is_drawn_about_as_often_and_falls_where_its_seed_says() {
        let drawn = (0..1_000).filter(|micros| {
            let mut moderate = profile(RiskLabel::Moderate);
            moderate.windows.now += TimeDelta::microseconds(*micros);
            let decision = choose_nudge(&moderate, &after(&[12]), &texts_but(&[]));
            let seed = decision.drawn.map_or(-1, |drawn| drawn.seed);
            let NudgeChoice::Send { nudge, .. } = decision.choice else {
                return false;
            };
            let is_second = nudge == NudgeType::CopingExercise;
            assert_eq!(seed % 2, i64::from(is_second));
            is_second
        });
        assert!((430..=570).contains(&drawn.count()));
    }

    #[test]
    fn a_nudge_whose_time_has_come_is_looked_at_once_more() {
        let now = windows().now;
        let at = |hours: i64| now + TimeDelta::hours(hours);
        let moderate =
            |of: &Circumstances, expires: i64| release(of, (Source::Rule, RiskLabel::Moderate), at(expires));
        assert_eq!(moderate(&after(&[12]), 1), Release::Send(Channel::InApp));
        assert_eq!(moderate(&after(&[12]), 0), Release::Expire);
        // Another one came in the meantime.
        assert_eq!(moderate(&after(&[2]), 24), Release::Hold(at(10)));
        assert_eq!(moderate(&after(&[2]), 10), Release::Withhold(Withheld::Spacing));
        assert_eq!(moderate(&after(&[13, 14]), 24), Release::Hold(at(10)));
        let reminder = release(&after(&[2]), (Source::Meeting, RiskLabel::Moderate), at(1));
        assert_eq!(reminder, Release::Send(Channel::InApp));
        let declined = Circumstances {
            channel: None,
            ..after(&[])
        };
        assert_eq!(moderate(&declined, 1), Release::Withhold(Withheld::Channels));
    }
}
