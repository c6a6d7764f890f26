//! `social.oncall_shifts`: who is on duty from when to when, before anybody stands in.

use chrono::{DateTime, Utc};
use db::{Row, Tx};

use crate::domain::rotation::Duty;

/// A shift as it is read.
#[derive(Clone, Debug)]
pub(crate) struct Shift {
    pub(crate) shift_id: i64,
    pub(crate) duty: Duty,
    pub(crate) source: String,
    pub(crate) rotation_id: Option<i64>,
}

/// The shifts of a schedule (`$1`) that end after `$2`, or now (`$3`), and begin before `$4`, if given, by time; `$5` and
/// `$6` the row to go on behind, `$7` limit.
pub(crate) const LIST: &str = "
    select s.shift_id, s.staff_id, s.starts_at, s.ends_at, s.source, s.rotation_id
    from social.oncall_shifts s
    where s.schedule_id = $1 and s.ends_at > coalesce($2::timestamptz, $3::timestamptz, now())
        and s.starts_at > coalesce($2::timestamptz, $3::timestamptz, now()) - interval '700 hours'
        and s.starts_at < coalesce($4::timestamptz, 'infinity')
        and (s.starts_at, s.shift_id) > ($5, $6)
    order by s.starts_at, s.shift_id
    limit $7";

pub(crate) fn from_row(row: &Row) -> Result<Shift, db::Error> {
    Ok(Shift {
        shift_id: row.try_get("shift_id")?,
        duty: duty(row)?,
        source: row.try_get("source")?,
        rotation_id: row.try_get("rotation_id")?,
    })
}

/// Reads who is on duty from when to when.
pub(crate) fn duty(row: &Row) -> Result<Duty, db::Error> {
    Ok(Duty {
        staff_id: row.try_get("staff_id")?,
        starts_at: row.try_get("starts_at")?,
        ends_at: row.try_get("ends_at")?,
    })
}

/// Writes a shift by hand; `None` where it would be over already.
pub(crate) async fn insert(
    tx: &Tx,
    schedule_id: i64,
    duty: &Duty,
    now: Option<DateTime<Utc>>,
) -> Result<Option<Shift>, db::Error> {
    let row = tx
        .query_opt(
            "insert into social.oncall_shifts (schedule_id, staff_id, starts_at, ends_at, source)
             select $1, $2, $3, $4, 'manual' where $4 > coalesce($5::timestamptz, now())
             returning shift_id, staff_id, starts_at, ends_at, source, rotation_id",
            &[&schedule_id, &duty.staff_id, &duty.starts_at, &duty.ends_at, &now],
        )
        .await?;
    row.as_ref().map(from_row).transpose()
}

/// Takes back a shift that was written by hand, or what is left of it. `None` where the schedule has none of this id, and
/// `false` where there is nothing left to take back, or where a rotation wrote it.
pub(crate) async fn end(
    tx: &Tx,
    schedule_id: i64,
    shift_id: i64,
    now: Option<DateTime<Utc>>,
) -> Result<Option<bool>, db::Error> {
    let row = tx
        .query_opt(
            "select s.source = 'manual' and s.ends_at > clock.now as can_end, s.starts_at >= clock.now as is_ahead
             from social.oncall_shifts s, (select coalesce($3::timestamptz, now()) as now) as clock
             where s.schedule_id = $1 and s.shift_id = $2 for update of s",
            &[&schedule_id, &shift_id, &now],
        )
        .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let can_end: bool = row.try_get("can_end")?;
    if can_end && row.try_get("is_ahead")? {
        tx.execute(
            "delete from social.oncall_shifts s where s.shift_id = $1",
            &[&shift_id],
        )
        .await?;
    } else if can_end {
        tx.execute(
            "update social.oncall_shifts s set ends_at = coalesce($2::timestamptz, now()) where s.shift_id = $1",
            &[&shift_id, &now],
        )
        .await?;
    }
    Ok(Some(can_end))
}
