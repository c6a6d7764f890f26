//! `social.oncall_overrides`: who stands in for whom.

use chrono::{DateTime, Utc};
use db::{Row, Tx};

use super::oncall_shifts::duty;
use crate::domain::duty::StandIn;

/// An override as it is read.
#[derive(Clone, Debug)]
pub(crate) struct Override {
    pub(crate) override_id: i64,
    pub(crate) stand_in: StandIn,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) created_by: Option<String>,
}

/// The overrides of a schedule (`$1`) that end after `$2`, or now (`$3`), and begin before `$4`, if given, by time; `$5`
/// and `$6` the row to go on behind, `$7` limit.
pub(crate) const LIST: &str = "
    select o.override_id, o.staff_id, o.replaces_staff_id, o.starts_at, o.ends_at, o.created_at, o.created_by
    from social.oncall_overrides o
    where o.schedule_id = $1 and o.ends_at > coalesce($2::timestamptz, $3::timestamptz, now())
        and o.starts_at > coalesce($2::timestamptz, $3::timestamptz, now()) - interval '700 hours'
        and o.starts_at < coalesce($4::timestamptz, 'infinity')
        and (o.starts_at, o.override_id) > ($5, $6)
    order by o.starts_at, o.override_id
    limit $7";

pub(crate) fn from_row(row: &Row) -> Result<Override, db::Error> {
    Ok(Override {
        override_id: row.try_get("override_id")?,
        stand_in: stand_in(row)?,
        created_at: row.try_get("created_at")?,
        created_by: row.try_get("created_by")?,
    })
}

/// Reads who stands in for whom.
pub(crate) fn stand_in(row: &Row) -> Result<StandIn, db::Error> {
    Ok(StandIn {
        duty: duty(row)?,
        replaces: row.try_get("replaces_staff_id")?,
    })
}

/// Puts a stand-in on a schedule; `None` where it would be over already.
pub(crate) async fn insert(
    tx: &Tx,
    schedule_id: i64,
    stand_in: &StandIn,
    created_by: &str,
    now: Option<DateTime<Utc>>,
) -> Result<Option<Override>, db::Error> {
    let row = tx
        .query_opt(
            "insert into social.oncall_overrides (schedule_id, staff_id, replaces_staff_id, starts_at, ends_at, created_at,
                created_by)
             select $1, $2, $3, $4, $5, clock.now, $6
             from (select coalesce($7::timestamptz, now()) as now) as clock
             where $5 > clock.now
             returning override_id, staff_id, replaces_staff_id, starts_at, ends_at, created_at, created_by",
            &[
                &schedule_id,
                &stand_in.duty.staff_id,
                &stand_in.replaces,
                &stand_in.duty.starts_at,
                &stand_in.duty.ends_at,
                &created_by,
                &now,
            ],
        )
        .await?;
    row.as_ref().map(from_row).transpose()
}

/// An override that is not over; `None` where the schedule has none of this id.
pub(crate) async fn find(
    tx: &Tx,
    schedule_id: i64,
    override_id: i64,
    now: Option<DateTime<Utc>>,
) -> Result<Option<StandIn>, db::Error> {
    let row = tx
        .query_opt(
            "select o.staff_id, o.replaces_staff_id, o.starts_at, o.ends_at from social.oncall_overrides o
             where o.schedule_id = $1 and o.override_id = $2 and o.ends_at > coalesce($3::timestamptz, now())",
            &[&schedule_id, &override_id, &now],
        )
        .await?;
    row.as_ref().map(stand_in).transpose()
}

/// Takes back an override, or what is left of it.
pub(crate) async fn end(tx: &Tx, override_id: i64, now: Option<DateTime<Utc>>) -> Result<(), db::Error> {
    tx.pipeline(&[
        (
            "delete from social.oncall_overrides o
             where o.override_id = $1 and o.starts_at >= coalesce($2::timestamptz, now())",
            &[&override_id, &now],
        ),
        (
            "update social.oncall_overrides o set ends_at = coalesce($2::timestamptz, now()) where o.override_id = $1",
            &[&override_id, &now],
        ),
    ])
    .await?;
    Ok(())
}
