//! What the service watches itself for.

use ::config::Env;

use crate::domain::drill::ID_PREFIX;

const DRILL_CLIENT: &str = "RECOVERLY_DRILL_CLIENT";
const DRILL_CLIENT_HELP: &str = "account of kind client whose id begins with drill-: escalations are rehearsed about it each night; without it they are not";

/// From when on something is too long, and when escalations are rehearsed.
#[derive(Clone, Debug)]
pub struct WatchConfig {
    /// Minutes without a prediction while messages wait for one.
    pub silent_pipeline_minutes: i32,
    /// Minutes that an event or a page waits.
    pub queue_lag_minutes: i32,
    /// Hours after which those who see to it are told once more of a warning that is still open.
    pub repeat_hours: i32,
    /// The account that rehearsals are about; without it there are none.
    pub drill_client: Option<String>,
    /// The hour, UTC, at which they begin.
    pub drill_hour: u32,
}

impl Default for WatchConfig {
    fn default() -> Self {
        Self {
            silent_pipeline_minutes: 60,
            queue_lag_minutes: 5,
            repeat_hours: 12,
            drill_client: None,
            drill_hour: 3,
        }
    }
}

impl WatchConfig {
    /// Reads it; faults are recorded.
    pub(crate) fn read(env: &mut Env) -> Self {
        let default = Self::default();
        let drill_client = env.optional::<String>(DRILL_CLIENT, DRILL_CLIENT_HELP);
        if drill_client.as_ref().is_some_and(|id| !id.starts_with(ID_PREFIX)) {
            env.fault(
                DRILL_CLIENT,
                format!("does not begin with {ID_PREFIX}"),
                DRILL_CLIENT_HELP,
            );
        }
        Self {
            silent_pipeline_minutes: env.within(
                "RECOVERLY_SILENT_PIPELINE_MINUTES",
                default.silent_pipeline_minutes,
                5..=1_440,
                "minutes without a prediction, while messages wait for one, after which operators are warned",
            ),
            queue_lag_minutes: env.within(
                "RECOVERLY_QUEUE_LAG_MINUTES",
                default.queue_lag_minutes,
                1..=1_440,
                "minutes that an event or a page waits, after which operators are warned",
            ),
            repeat_hours: env.within(
                "RECOVERLY_WARNING_REPEAT_HOURS",
                default.repeat_hours,
                1..=168,
                "hours after which staff are paged once more of an operational warning that is still open",
            ),
            drill_client,
            drill_hour: env.within(
                "RECOVERLY_DRILL_HOUR",
                default.drill_hour,
                0..=23,
                "hour, UTC, at which escalations are rehearsed",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_account_is_taken_for_a_rehearsal_unless_its_id_says_so() {
        for (id, is_refused) in [("drill-1", false), ("client-1", true)] {
            let mut env = Env::from_pairs(&[(DRILL_CLIENT, id)]);
            let read = WatchConfig::read(&mut env);
            assert_eq!(env.finish(|| Some(read)).is_err(), is_refused, "{id}");
        }
    }
}
