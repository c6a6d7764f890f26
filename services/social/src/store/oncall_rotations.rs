//! `social.oncall_rotations` with their members, and the shifts that are written ahead for them.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use chrono_tz::Tz;
use db::{Row, Tx};

use crate::domain::rotation::{Duty, Rotation};

/// A rotation as staff say it.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) shift_days: i32,
    pub(crate) handover_time: NaiveTime,
    pub(crate) starts_on: NaiveDate,
    pub(crate) ends_on: Option<NaiveDate>,
    pub(crate) weekdays: Option<Vec<i16>>,
    pub(crate) hours: Option<(NaiveTime, NaiveTime)>,
    pub(crate) members: Vec<String>,
}

/// Makes a rotation whose shifts are still to be written; returns its id.
pub(crate) async fn insert(tx: &Tx, schedule_id: i64, said: &Said) -> Result<i64, db::Error> {
    let (from, until) = said.hours.unzip();
    let row = tx
        .query_one(
            "insert into social.oncall_rotations (schedule_id, name, kind, shift_days, handover_time, starts_on, ends_on,
                weekdays, hours_from, hours_until)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
             returning rotation_id",
            &[
                &schedule_id,
                &said.name,
                &said.kind,
                &said.shift_days,
                &said.handover_time,
                &said.starts_on,
                &said.ends_on,
                &said.weekdays,
                &from,
                &until,
            ],
        )
        .await?;
    let rotation_id = row.try_get("rotation_id")?;
    insert_members(tx, rotation_id, &said.members).await?;
    Ok(rotation_id)
}

/// Makes a rotation another; its shifts are to be written anew. `false` where the schedule has none of this id.
pub(crate) async fn replace(
    tx: &Tx,
    schedule_id: i64,
    rotation_id: i64,
    said: &Said,
) -> Result<bool, db::Error> {
    let (from, until) = said.hours.unzip();
    let touched = tx
        .execute(
            "update social.oncall_rotations r
             set name = $3, kind = $4, shift_days = $5, handover_time = $6, starts_on = $7, ends_on = $8, weekdays = $9,
                hours_from = $10, hours_until = $11, filled_until = null
             where r.schedule_id = $1 and r.rotation_id = $2",
            &[
                &schedule_id,
                &rotation_id,
                &said.name,
                &said.kind,
                &said.shift_days,
                &said.handover_time,
                &said.starts_on,
                &said.ends_on,
                &said.weekdays,
                &from,
                &until,
            ],
        )
        .await?;
    if touched == 0 {
        return Ok(false);
    }
    tx.execute(
        "delete from social.oncall_rotation_members m where m.rotation_id = $1",
        &[&rotation_id],
    )
    .await?;
    insert_members(tx, rotation_id, &said.members).await?;
    Ok(true)
}

async fn insert_members(tx: &Tx, rotation_id: i64, members: &[String]) -> Result<(), db::Error> {
    tx.execute(
        "insert into social.oncall_rotation_members (rotation_id, position, staff_id)
         select $1, m.place - 1, m.staff_id from unnest($2::varchar[]) with ordinality as m (staff_id, place)",
        &[&rotation_id, &members],
    )
    .await?;
    Ok(())
}

/// Removes a rotation; who was on duty stays known, and nobody is on duty by it from now on. `false` where the schedule
/// has none of this id.
pub(crate) async fn delete(
    tx: &Tx,
    schedule_id: i64,
    rotation_id: i64,
    now: Option<DateTime<Utc>>,
) -> Result<bool, db::Error> {
    let found = tx
        .execute(
            "select r.rotation_id from social.oncall_rotations r
             where r.schedule_id = $1 and r.rotation_id = $2 for update",
            &[&schedule_id, &rotation_id],
        )
        .await?;
    if found == 0 {
        return Ok(false);
    }
    tx.pipeline(&[
        (CUT_FUTURE, &[&vec![rotation_id], &now]),
        (END_RUNNING, &[&vec![rotation_id], &now]),
        (
            "delete from social.oncall_rotations r where r.rotation_id = $1",
            &[&rotation_id],
        ),
    ])
    .await?;
    Ok(true)
}

/// How many rotations a schedule has.
pub(crate) async fn count(tx: &Tx, schedule_id: i64) -> Result<i64, db::Error> {
    let row = tx
        .query_one(
            "select count(*) as rotations from social.oncall_rotations r where r.schedule_id = $1",
            &[&schedule_id],
        )
        .await?;
    Ok(row.try_get("rotations")?)
}

/// A rotation whose shifts are to be written.
pub(crate) struct Due {
    pub(crate) rotation_id: i64,
    pub(crate) rotation: Rotation,
    /// Up to which handover they are; `None`: to be written anew.
    pub(crate) filled_until: Option<DateTime<Utc>>,
    pub(crate) now: DateTime<Utc>,
}

/// Locks rotations, of one schedule or of all, whose shifts reach less than so many days ahead.
pub(crate) async fn lock_due(
    tx: &Tx,
    schedule_id: Option<i64>,
    days: i32,
    limit: i64,
    now: Option<DateTime<Utc>>,
) -> Result<Vec<Due>, db::Error> {
    let rows = tx
        .query(
            "select r.rotation_id, s.timezone, r.shift_days, r.handover_time, r.starts_on, r.ends_on, r.weekdays,
                r.hours_from, r.hours_until, r.filled_until, clock.now,
                array(select m.staff_id from social.oncall_rotation_members m
                    where m.rotation_id = r.rotation_id order by m.position) as members
             from social.oncall_rotations r
             join social.oncall_schedules s on s.schedule_id = r.schedule_id,
                (select coalesce($1::timestamptz, now()) as now) as clock
             where ($2::int8 is null or r.schedule_id = $2)
                and (r.filled_until is null or r.filled_until < clock.now + $3::int4 * interval '24 hours')
             order by r.filled_until nulls first limit $4 for update of r skip locked",
            &[&now, &schedule_id, &days, &limit],
        )
        .await?;
    rows.iter().map(due).collect()
}

fn due(row: &Row) -> Result<Due, db::Error> {
    let zone: &str = row.try_get("timezone")?;
    let hours: (Option<NaiveTime>, Option<NaiveTime>) =
        (row.try_get("hours_from")?, row.try_get("hours_until")?);
    let weekdays: Option<Vec<i16>> = row.try_get("weekdays")?;
    Ok(Due {
        rotation_id: row.try_get("rotation_id")?,
        rotation: Rotation {
            // Unknown zones are refused; one that the zone database has dropped since counts as UTC.
            zone: zone.parse().unwrap_or(Tz::UTC),
            shift_days: row.try_get("shift_days")?,
            handover_time: row.try_get("handover_time")?,
            starts_on: row.try_get("starts_on")?,
            ends_on: row.try_get("ends_on")?,
            weekdays: weekdays.unwrap_or_default(),
            hours: hours.0.zip(hours.1),
            members: row.try_get("members")?,
        },
        filled_until: row.try_get("filled_until")?,
        now: row.try_get("now")?,
    })
}

/// The shifts of a rotation up to a handover.
pub(crate) struct Written {
    pub(crate) rotation_id: i64,
    /// What was written ahead before is void.
    pub(crate) is_anew: bool,
    pub(crate) shifts: Vec<Duty>,
    /// `None` where it has ended.
    pub(crate) until: Option<DateTime<Utc>>,
}

/// Takes back what was written ahead. `$1` rotations, `$2` the time.
const CUT_FUTURE: &str = "
    delete from social.oncall_shifts s
    where s.rotation_id = any ($1) and s.starts_at >= coalesce($2::timestamptz, now())";

/// Ends what is under way. `$1` rotations, `$2` the time.
const END_RUNNING: &str = "
    update social.oncall_shifts s set ends_at = coalesce($2::timestamptz, now())
    where s.rotation_id = any ($1) and s.ends_at > coalesce($2::timestamptz, now())";

/// Lets whoever is on duty, and stays it, go on in the same shift, and ends it for others. `$1` rotations, `$2` the time,
/// `$3` to `$6` the new shifts.
const GO_ON: &str = "
    update social.oncall_shifts s
    set ends_at = coalesce((
        select n.ends_at from unnest($3::int8[], $4::varchar[], $5::timestamptz[], $6::timestamptz[])
            as n (rotation_id, staff_id, starts_at, ends_at)
        where n.rotation_id = s.rotation_id and n.staff_id = s.staff_id and n.starts_at <= $2 and n.ends_at > $2
            and n.ends_at - s.starts_at <= interval '700 hours'), $2)
    where s.rotation_id = any ($1) and s.ends_at > $2";

/// Writes shifts, from now on, where none stands. As [`GO_ON`].
const WRITE: &str = "
    insert into social.oncall_shifts (schedule_id, staff_id, starts_at, ends_at, source, rotation_id)
    select r.schedule_id, n.staff_id, greatest(n.starts_at, $1), n.ends_at, 'rotation', n.rotation_id
    from unnest($2::int8[], $3::varchar[], $4::timestamptz[], $5::timestamptz[])
        as n (rotation_id, staff_id, starts_at, ends_at)
    join social.oncall_rotations r on r.rotation_id = n.rotation_id
    where n.ends_at > $1 and not exists (
        select from social.oncall_shifts s
        where s.rotation_id = n.rotation_id and s.starts_at < n.ends_at and s.ends_at > greatest(n.starts_at, $1))";

/// Says up to where. `$1` rotations, `$2` the handovers.
const REMEMBER: &str = "
    update social.oncall_rotations r set filled_until = coalesce(n.until, 'infinity')
    from unnest($1::int8[], $2::timestamptz[]) as n (rotation_id, until)
    where r.rotation_id = n.rotation_id";

/// Writes the shifts of locked rotations. What is over stays as it was.
pub(crate) async fn write(tx: &Tx, written: &[Written], now: DateTime<Utc>) -> Result<(), db::Error> {
    let anew = written.iter().filter(|one| one.is_anew);
    let anew: Vec<i64> = anew.map(|one| one.rotation_id).collect();
    let of_all = |one: &'_ Written| (one.rotation_id, one.until);
    let (all, untils): (Vec<i64>, Vec<Option<DateTime<Utc>>>) = written.iter().map(of_all).unzip();
    let shifts: Vec<(i64, &Duty)> = written
        .iter()
        .flat_map(|one| one.shifts.iter().map(|shift| (one.rotation_id, shift)))
        .collect();
    let rotations: Vec<i64> = shifts.iter().map(|(rotation_id, _)| *rotation_id).collect();
    let staff: Vec<&str> = shifts.iter().map(|(_, shift)| shift.staff_id.as_str()).collect();
    let starts: Vec<DateTime<Utc>> = shifts.iter().map(|(_, shift)| shift.starts_at).collect();
    let ends: Vec<DateTime<Utc>> = shifts.iter().map(|(_, shift)| shift.ends_at).collect();
    tx.pipeline(&[
        (CUT_FUTURE, &[&anew, &Some(now)]),
        (GO_ON, &[&anew, &now, &rotations, &staff, &starts, &ends]),
        (WRITE, &[&now, &rotations, &staff, &starts, &ends]),
        (REMEMBER, &[&all, &untils]),
    ])
    .await?;
    Ok(())
}
