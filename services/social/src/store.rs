//! SQL, one module a table, as free functions that take the transaction first. Only routes, events, jobs and ops
//! begin or commit.

pub(crate) mod actions;
pub(crate) mod caseload;
pub(crate) mod circumstances;
pub(crate) mod comments;
pub(crate) mod contact_methods;
pub(crate) mod contacts;
pub(crate) mod coverage;
pub(crate) mod crisis_resources;
pub(crate) mod deliveries;
pub(crate) mod drills;
pub(crate) mod escalation_policies;
pub(crate) mod escalations;
pub(crate) mod expected;
pub(crate) mod family;
pub(crate) mod meeting_calendars;
pub(crate) mod meetings;
pub(crate) mod model_triggers;
pub(crate) mod nudge_templates;
pub(crate) mod nudges;
pub(crate) mod oncall_calendar;
pub(crate) mod oncall_overrides;
pub(crate) mod oncall_rotations;
pub(crate) mod oncall_schedules;
pub(crate) mod oncall_shifts;
pub(crate) mod operational_warnings;
#[cfg(test)]
mod plans;
pub(crate) mod policies;
pub(crate) mod predictions;
pub(crate) mod previews;
pub(crate) mod profiles;
pub(crate) mod safety_events;
pub(crate) mod screener_answers;
pub(crate) mod shift_swaps;
pub(crate) mod stream;
pub(crate) mod tiers;
pub(crate) mod windows;

use std::str::FromStr;

use common::{Probability, UnknownWord};
use db::Row;

/// Reads a column that holds a word of a closed vocabulary.
pub(crate) fn word<T: FromStr<Err = UnknownWord>>(row: &Row, column: &str) -> Result<T, db::Error> {
    let text: &str = row.try_get(column)?;
    text.parse()
        .map_err(|error| db::Error::Row(format!("{column}: {error}")))
}

/// Reads a column that holds a probability.
pub(crate) fn probability(row: &Row, column: &str) -> Result<Probability, db::Error> {
    Probability::new(row.try_get(column)?).ok_or_else(|| db::Error::Row(format!("{column} is not in 0..=1")))
}
