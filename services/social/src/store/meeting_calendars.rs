//! `social.meeting_calendars`, and what is behind their links. Whoever has one reads as no person that Postgres could ask
//! about: those statements are the worker's.

use chrono::{DateTime, Utc};
use common::MeetingStatus;
use db::Tx;

use super::word;
use crate::domain::meeting::Slot;

/// Gives a counselor a calendar link; the one before is none any more.
pub(crate) async fn set(tx: &Tx, staff_id: &str, hash: &[u8]) -> Result<(), db::Error> {
    tx.execute(
        "insert into social.meeting_calendars (staff_id, calendar_hash) values ($1, $2)
         on conflict (staff_id) do update set calendar_hash = excluded.calendar_hash, created_at = now()",
        &[&staff_id, &hash],
    )
    .await?;
    Ok(())
}

/// Ends the calendar link of a counselor, where there is one.
pub(crate) async fn end(tx: &Tx, staff_id: &str) -> Result<(), db::Error> {
    tx.execute(
        "delete from social.meeting_calendars c where c.staff_id = $1",
        &[&staff_id],
    )
    .await?;
    Ok(())
}

/// Whose calendar a link shows, by the hash of its secret, and what time it is: that of who is a counselor still.
pub(crate) async fn find(
    tx: &Tx,
    hash: &[u8],
    now: Option<DateTime<Utc>>,
) -> Result<Option<(String, DateTime<Utc>)>, db::Error> {
    let row = tx
        .query_opt(
            "select c.staff_id, coalesce($2::timestamptz, now()) as now from social.meeting_calendars c
             where c.calendar_hash = $1 and social.is_counselor(c.staff_id)",
            &[&hash, &now],
        )
        .await?;
    row.map(|row| Ok((row.try_get("staff_id")?, row.try_get("now")?)))
        .transpose()
}

/// A counselor's meeting as a calendar shows it.
pub(crate) struct Kept {
    pub(crate) meeting_id: i64,
    pub(crate) slot: Slot,
    pub(crate) status: MeetingStatus,
}

/// A counselor's meetings of a stretch of time that take place, took place or were to; not those that were called off.
pub(crate) async fn read(
    tx: &Tx,
    staff_id: &str,
    (from, before): (DateTime<Utc>, DateTime<Utc>),
) -> Result<Vec<Kept>, db::Error> {
    let rows = tx
        .query(
            "select m.meeting_id, m.scheduled_time, m.duration_minutes, m.status from social.meetings m
             where m.counselor_id = $1 and m.scheduled_time > $2 and m.scheduled_time < $3
                and m.status in ('scheduled', 'confirmed', 'completed', 'no_show')
             order by m.scheduled_time, m.meeting_id limit 5000",
            &[&staff_id, &from, &before],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Kept {
                meeting_id: row.try_get("meeting_id")?,
                slot: Slot {
                    starts_at: row.try_get("scheduled_time")?,
                    minutes: row.try_get("duration_minutes")?,
                },
                status: word(row, "status")?,
            })
        })
        .collect()
}
