//! Writing the shifts of rotations ahead, so that Postgres answers who is on duty.

use chrono::{DateTime, TimeDelta, Utc};
use db::Tx;

use crate::error::Error;
use crate::store::oncall_rotations::{self, Written};

/// How far ahead shifts are written.
const AHEAD_DAYS: i32 = 90;
/// A rotation is written further once a day, and not at every look.
const AT_LEAST_DAYS: i32 = AHEAD_DAYS - 1;

/// Writes what is due of one schedule or of all, of so many rotations at most; returns of how many.
pub(crate) async fn fill_rotations(
    tx: &Tx,
    schedule_id: Option<i64>,
    limit: i64,
    now: Option<DateTime<Utc>>,
) -> Result<u64, Error> {
    let due = oncall_rotations::lock_due(tx, schedule_id, AT_LEAST_DAYS, limit, now).await?;
    let Some(now) = due.first().map(|one| one.now) else {
        return Ok(0);
    };
    let before = now + TimeDelta::days(i64::from(AHEAD_DAYS));
    let written: Vec<Written> = due
        .into_iter()
        .map(|one| {
            let filled = one
                .rotation
                .fill(one.filled_until.unwrap_or(now).max(now), before);
            Written {
                rotation_id: one.rotation_id,
                is_anew: one.filled_until.is_none(),
                shifts: filled.shifts,
                until: filled.until,
            }
        })
        .collect();
    oncall_rotations::write(tx, &written, now).await?;
    Ok(written.len() as u64)
}
