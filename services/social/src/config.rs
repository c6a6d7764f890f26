//! What the social service finds in its environment.

mod paging;
mod watch;

use ::config::Env;
use service::{Term, Variables};

pub use paging::PagingConfig;
pub use watch::WatchConfig;

/// The names of its variables.
pub(crate) const VARIABLES: Variables = Variables {
    name: "social",
    program: "recoverly-social",
    database_url: "RECOVERLY_SOCIAL_DATABASE_URL",
    listen: "RECOVERLY_SOCIAL_LISTEN",
    port: 8082,
};

/// For how many days the social service keeps what, when silence is told, and how it reaches staff.
#[derive(Clone, Debug)]
pub struct Config {
    /// Predictions, after they were made and their message was written. Profiles count those of 30 days.
    pub prediction_days: i32,
    /// Actions and nudges, after they were made. What limits nudges counts those of days.
    pub action_days: i32,
    /// What checks of messages found and answers to the screener, after they were made.
    pub safety_days: i32,
    /// Escalations, after they were closed; shifts, overrides and swaps, after they were over.
    pub escalation_days: i32,
    /// Who was told of an escalation, after it was done; while the escalation is open that stays.
    pub delivery_days: i32,
    /// Cards for the family, after they were written.
    pub family_days: i32,
    /// How long after its time an expected contact with a client is missed, and staff are told.
    pub silence_hours: i32,
    /// Rows that the preview of a risk policy reads at most.
    pub preview_rows: i32,
    /// How staff are reached outside the app; without it nobody is.
    pub paging: Option<PagingConfig>,
    /// What the service watches itself for.
    pub watch: WatchConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            prediction_days: 365,
            action_days: 183,
            safety_days: 365,
            escalation_days: 731,
            delivery_days: 365,
            family_days: 1_096,
            silence_hours: 12,
            preview_rows: 1_000_000,
            paging: None,
            watch: WatchConfig::default(),
        }
    }
}

impl Config {
    /// Reads it from the environment; `None` where a fault was recorded.
    pub(crate) fn read(env: &mut Env) -> Option<Self> {
        let default = Self::default();
        let paging = PagingConfig::read(env);
        let watch = WatchConfig::read(env);
        Some(Self {
            prediction_days: env.within(
                "RECOVERLY_PREDICTIONS_DAYS",
                default.prediction_days,
                60..=Term::MAX_DAYS,
                "days for which predictions are kept",
            ),
            action_days: env.within(
                "RECOVERLY_ACTIONS_DAYS",
                default.action_days,
                31..=Term::MAX_DAYS,
                "days for which actions and nudges are kept",
            ),
            safety_days: env.within(
                "RECOVERLY_SAFETY_DAYS",
                default.safety_days,
                90..=Term::MAX_DAYS,
                "days for which findings of safety checks and screener answers are kept",
            ),
            escalation_days: env.within(
                "RECOVERLY_ESCALATIONS_DAYS",
                default.escalation_days,
                365..=Term::MAX_DAYS,
                "days for which escalations are kept once they are closed",
            ),
            delivery_days: env.within(
                "RECOVERLY_DELIVERIES_DAYS",
                default.delivery_days,
                90..=Term::MAX_DAYS,
                "days for which it is kept who was told of an escalation that is closed",
            ),
            family_days: env.within(
                "RECOVERLY_FAMILY_CARDS_DAYS",
                default.family_days,
                31..=Term::MAX_DAYS,
                "days for which cards for the family are kept",
            ),
            silence_hours: env.within(
                "RECOVERLY_SILENCE_HOURS",
                default.silence_hours,
                1..=168,
                "hours after which staff are told of a contact with a client that was expected and missed",
            ),
            preview_rows: env.within(
                "RECOVERLY_PREVIEW_ROWS",
                default.preview_rows,
                10_000..=10_000_000,
                "predictions and messages that the preview of a risk policy reads at most; some hundred bytes of memory each",
            ),
            paging: paging?,
            watch,
        })
    }

    /// The same as the job takes it.
    pub(crate) fn terms(&self) -> Vec<Term> {
        // Whom nobody told would be told again.
        let is_closed = "(o.warning_id is not null or exists (select from social.escalations e
            where e.escalation_id = o.escalation_id and e.resolved_at is not null))";
        vec![
            Term::of_oldest(
                "social.message_predictions",
                "id",
                "greatest(o.timestamp, o.message_timestamp)",
                self.prediction_days,
            ),
            Term::of_oldest("social.actions", "action_id", "o.timestamp", self.action_days),
            Term::of_oldest("social.nudges", "nudge_id", "o.timestamp", self.action_days),
            Term::of_oldest("social.safety_events", "id", "o.created_at", self.safety_days),
            Term::of_oldest("social.screener_answers", "id", "o.answered_at", self.safety_days),
            Term::of_oldest(
                "social.family_share_cards",
                "card_id",
                "o.created_at",
                self.family_days,
            ),
            Term::since(
                "social.notification_deliveries",
                "created_at",
                is_closed,
                self.delivery_days,
            ),
            // Longer than any horizon: a prediction pages once.
            Term::since(
                "social.model_triggers",
                "triggered_at",
                "true",
                self.escalation_days,
            ),
            Term::since("social.escalations", "resolved_at", "true", self.escalation_days),
            // Who was on duty tells who could have answered.
            Term::since("social.oncall_shifts", "ends_at", "true", self.escalation_days),
            Term::since("social.oncall_overrides", "ends_at", "true", self.escalation_days),
            Term::since("social.shift_swaps", "ends_at", "true", self.escalation_days),
            Term::since(
                "social.operational_warnings",
                "closed_at",
                "true",
                self.escalation_days,
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_term_is_set_that_is_shorter_than_what_is_counted_by_it() {
        for (name, least) in [
            ("RECOVERLY_PREDICTIONS_DAYS", 60),
            ("RECOVERLY_ACTIONS_DAYS", 31),
            ("RECOVERLY_SAFETY_DAYS", 90),
            ("RECOVERLY_ESCALATIONS_DAYS", 365),
            ("RECOVERLY_DELIVERIES_DAYS", 90),
            ("RECOVERLY_FAMILY_CARDS_DAYS", 31),
        ] {
            for (days, is_refused) in [(least, false), (least - 1, true)] {
                let mut env = Env::from_pairs(&[(name, &days.to_string())]);
                let config = Config::read(&mut env);
                assert_eq!(env.finish(|| config).is_err(), is_refused, "{name}");
            }
        }
    }
}
