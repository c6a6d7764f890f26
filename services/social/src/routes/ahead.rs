//! Times that are still to come.

use chrono::{DateTime, TimeDelta, Utc};
use web::Problem;

/// 422 for a time in the past, or so far ahead that nobody will think of it.
pub(super) fn must_be_ahead(
    at: Option<DateTime<Utc>>,
    within_days: i64,
    pointer: &str,
    now: Option<DateTime<Utc>>,
) -> Result<(), Problem> {
    let now = now.unwrap_or_else(Utc::now);
    if at.is_none_or(|at| at > now && at <= now + TimeDelta::days(within_days)) {
        return Ok(());
    }
    let detail = format!("must be in the future, within {within_days} days");
    Err(Problem::invalid_field(pointer, detail))
}
