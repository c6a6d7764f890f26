//! `social.oncall_schedules`, who is on duty now, and the access that gives.

use chrono::{DateTime, Utc};
use db::{Row, Tx};
use serde_json::Value;

/// A schedule with its rotations.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    pub(crate) schedule_id: i64,
    pub(crate) name: String,
    pub(crate) timezone: String,
    pub(crate) has_calendar: bool,
    pub(crate) created_at: DateTime<Utc>,
    /// Each with its members, oldest first.
    pub(crate) rotations: Value,
}

/// The columns of [`Schedule`], for every statement that yields one under the alias `s`.
const COLUMNS: &str = "s.schedule_id, s.name, s.timezone, s.calendar_hash is not null as has_calendar, s.created_at,
    (select coalesce(jsonb_agg(jsonb_build_object('rotation_id', r.rotation_id, 'name', r.name, 'kind', r.kind,
        'shift_days', r.shift_days, 'handover_time', to_char(r.handover_time, 'HH24:MI'), 'starts_on', r.starts_on,
        'ends_on', r.ends_on, 'weekdays', r.weekdays, 'hours_from', to_char(r.hours_from, 'HH24:MI'),
        'hours_until', to_char(r.hours_until, 'HH24:MI'),
        'members', array(select m.staff_id from social.oncall_rotation_members m
            where m.rotation_id = r.rotation_id order by m.position)) order by r.rotation_id), '[]')
     from social.oncall_rotations r where r.schedule_id = s.schedule_id) as rotations";

pub(crate) fn from_row(row: &Row) -> Result<Schedule, db::Error> {
    Ok(Schedule {
        schedule_id: row.try_get("schedule_id")?,
        name: row.try_get("name")?,
        timezone: row.try_get("timezone")?,
        has_calendar: row.try_get("has_calendar")?,
        created_at: row.try_get("created_at")?,
        rotations: row.try_get("rotations")?,
    })
}

/// Oldest first. `$1` the last id seen, `$2` limit.
pub(crate) fn list_sql() -> String {
    format!(
        "select {COLUMNS} from social.oncall_schedules s where s.schedule_id > $1 order by s.schedule_id limit $2"
    )
}

/// One schedule. `$1` its id.
pub(crate) fn find_sql() -> String {
    format!("select {COLUMNS} from social.oncall_schedules s where s.schedule_id = $1")
}

/// Whether there is a schedule of this id (`$1`).
pub(crate) const EXISTS: &str =
    "select s.schedule_id from social.oncall_schedules s where s.schedule_id = $1";

/// Whether there is a schedule of this id, for who may not lock it.
pub(crate) async fn exists(tx: &Tx, schedule_id: i64) -> Result<bool, db::Error> {
    Ok(tx.query_opt(EXISTS, &[&schedule_id]).await?.is_some())
}

/// As [`find_sql`], in a transaction.
pub(crate) async fn find(tx: &Tx, schedule_id: i64) -> Result<Option<Schedule>, db::Error> {
    let row = tx.query_opt(&find_sql(), &[&schedule_id]).await?;
    row.as_ref().map(from_row).transpose()
}

/// Makes a schedule; returns its id.
pub(crate) async fn insert(tx: &Tx, name: &str, timezone: &str) -> Result<i64, db::Error> {
    let row = tx
        .query_one(
            "insert into social.oncall_schedules (name, timezone) values ($1, $2) returning schedule_id",
            &[&name, &timezone],
        )
        .await?;
    Ok(row.try_get("schedule_id")?)
}

/// Renames a schedule or moves it to another zone, in which its rotations are to be written anew; `false` where there is
/// none.
pub(crate) async fn update(
    tx: &Tx,
    schedule_id: i64,
    name: Option<&str>,
    timezone: Option<&str>,
) -> Result<bool, db::Error> {
    let touched = tx
        .execute(
            "update social.oncall_schedules s set name = coalesce($2, s.name), timezone = coalesce($3, s.timezone)
             where s.schedule_id = $1",
            &[&schedule_id, &name, &timezone],
        )
        .await?;
    if timezone.is_some() {
        tx.execute(
            "update social.oncall_rotations r set filled_until = null where r.schedule_id = $1",
            &[&schedule_id],
        )
        .await?;
    }
    Ok(touched > 0)
}

/// Removes a schedule with all that is on it; `false` where there is none.
pub(crate) async fn delete(tx: &Tx, schedule_id: i64) -> Result<bool, db::Error> {
    let removed = tx
        .execute(
            "delete from social.oncall_schedules s where s.schedule_id = $1",
            &[&schedule_id],
        )
        .await?;
    Ok(removed > 0)
}

/// Lets nobody else change what is on a schedule until the transaction ends; `false` where there is none.
pub(crate) async fn lock(tx: &Tx, schedule_id: i64) -> Result<bool, db::Error> {
    let found = tx
        .execute(
            "select s.schedule_id from social.oncall_schedules s where s.schedule_id = $1 for no key update",
            &[&schedule_id],
        )
        .await?;
    Ok(found > 0)
}

/// Gives a schedule another calendar link; the one before is none any more. `false` where there is no schedule.
pub(crate) async fn set_calendar(tx: &Tx, schedule_id: i64, hash: Option<&[u8]>) -> Result<bool, db::Error> {
    let touched = tx
        .execute(
            "update social.oncall_schedules s set calendar_hash = $2 where s.schedule_id = $1",
            &[&schedule_id, &hash],
        )
        .await?;
    Ok(touched > 0)
}

/// Who is on duty on a schedule (`$1`) at a moment (`$2`), or now (`$3`): nobody in particular where nobody is, no row
/// where there is no schedule.
pub(crate) const ON_DUTY: &str = "
    select clock.at, o.staff_id, u.display_name
    from social.oncall_schedules s
    cross join (select coalesce($2::timestamptz, $3::timestamptz, now()) as at) as clock
    left join lateral social.oncall_at(s.schedule_id, clock.at) as o (staff_id) on true
    left join core.users u on u.user_id = o.staff_id
    where s.schedule_id = $1
    order by o.staff_id";

/// Those of these staff who can be on call: active, with the role.
pub(crate) async fn staff_on_call(tx: &Tx, staff: &[&str]) -> Result<Vec<String>, db::Error> {
    tx.query(
        "select c.staff_id from social.staff_on_call($1) as c (staff_id)",
        &[&staff],
    )
    .await?
    .iter()
    .map(|row| Ok(row.try_get("staff_id")?))
    .collect()
}

/// Lets those on duty see the clients of open escalations, and those who have gone off it no more; how much it changed.
pub(crate) async fn settle(tx: &Tx, now: Option<DateTime<Utc>>) -> Result<i64, db::Error> {
    let row = tx
        .query_one(
            "select social.settle_duty(coalesce($1::timestamptz, now())) as changed",
            &[&now],
        )
        .await?;
    Ok(row.try_get("changed")?)
}
