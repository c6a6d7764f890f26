//! What a calendar shows of a schedule. Whoever has its link reads it, as no person that Postgres could ask about: there these
//! statements are the worker's. Duties are the same to staff.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use db::Tx;

use super::oncall_overrides::stand_in;
use super::oncall_shifts::duty;
use crate::domain::duty::StandIn;
use crate::domain::rotation::Duty;

/// A schedule whose link was shown.
pub(crate) struct Shown {
    pub(crate) name: String,
    pub(crate) now: DateTime<Utc>,
}

/// A schedule by its id and the hash of its link's secret.
pub(crate) async fn find(
    tx: &Tx,
    schedule_id: i64,
    hash: &[u8],
    now: Option<DateTime<Utc>>,
) -> Result<Option<Shown>, db::Error> {
    let row = tx
        .query_opt(
            "select s.name, coalesce($3::timestamptz, now()) as now from social.oncall_schedules s
             where s.schedule_id = $1 and s.calendar_hash = $2",
            &[&schedule_id, &hash, &now],
        )
        .await?;
    row.map(|row| {
        Ok(Shown {
            name: row.try_get("name")?,
            now: row.try_get("now")?,
        })
    })
    .transpose()
}

/// The shifts of a stretch of time, and who stands in there, in the order in which that was said.
pub(crate) async fn read(
    tx: &Tx,
    schedule_id: i64,
    (from, before): (DateTime<Utc>, DateTime<Utc>),
) -> Result<(Vec<Duty>, Vec<StandIn>), db::Error> {
    let span: db::Params<'_> = &[&schedule_id, &from, &before];
    let mut found = tx
        .pipeline(&[
            (
                "select s.staff_id, s.starts_at, s.ends_at from social.oncall_shifts s
                 where s.schedule_id = $1 and s.ends_at > $2 and s.starts_at < $3
                    and s.starts_at > $2 - interval '700 hours'
                 order by s.starts_at, s.shift_id limit 20000",
                span,
            ),
            (
                "select o.staff_id, o.replaces_staff_id, o.starts_at, o.ends_at from social.oncall_overrides o
                 where o.schedule_id = $1 and o.ends_at > $2 and o.starts_at < $3
                    and o.starts_at > $2 - interval '700 hours'
                    and exists (select from social.staff_on_call(array[o.staff_id]))
                 order by o.override_id limit 5000",
                span,
            ),
        ])
        .await?
        .into_iter();
    let (shifts, overrides) = (found.next().unwrap_or_default(), found.next().unwrap_or_default());
    Ok((
        shifts.iter().map(duty).collect::<Result<_, _>>()?,
        overrides.iter().map(stand_in).collect::<Result<_, _>>()?,
    ))
}

/// What those of these staff who can be on call are called, where they are.
pub(crate) async fn names(tx: &Tx, staff: &[&str]) -> Result<HashMap<String, Option<String>>, db::Error> {
    tx.query(
        "select u.user_id, u.display_name from social.staff_on_call($1) as c (staff_id)
         join core.users u on u.user_id = c.staff_id",
        &[&staff],
    )
    .await?
    .iter()
    .map(|row| Ok((row.try_get("user_id")?, row.try_get("display_name")?)))
    .collect()
}
