//! `social.meetings`.

use chrono::{DateTime, Utc};
use common::{MeetingStatus, RiskLabel};
use db::{Row, Tx};

use super::word;
use crate::domain::meeting::{DEFAULT_MINUTES, REMINDER_HOURS, Slot, Standing};

/// A meeting as it is read.
#[derive(Clone, Debug)]
pub(crate) struct Meeting {
    pub(crate) meeting_id: i64,
    pub(crate) user_id: String,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) meeting_type: String,
    pub(crate) standing: Standing,
    pub(crate) duration_minutes: i32,
    pub(crate) consent_given_at: Option<DateTime<Utc>>,
    pub(crate) completed_at: Option<DateTime<Utc>>,
    pub(crate) cancel_reason: Option<String>,
    pub(crate) notes: Option<String>,
    pub(crate) follow_up_of: Option<i64>,
}

/// The columns of [`Meeting`], for every statement that yields one under the alias `m`.
const COLUMNS: &str = "m.meeting_id, m.user_id, m.created_at, m.meeting_type, m.scheduled_time, m.duration_minutes,
    m.counselor_id, m.user_consent, m.consent_given_at, m.status, m.completed_at, m.cancel_reason, m.notes, m.follow_up_of";

pub(crate) fn from_row(row: &Row) -> Result<Meeting, db::Error> {
    let duration_minutes = row.try_get("duration_minutes")?;
    let scheduled_time: Option<DateTime<Utc>> = row.try_get("scheduled_time")?;
    Ok(Meeting {
        meeting_id: row.try_get("meeting_id")?,
        user_id: row.try_get("user_id")?,
        created_at: row.try_get("created_at")?,
        meeting_type: row.try_get("meeting_type")?,
        standing: Standing {
            status: word(row, "status")?,
            slot: scheduled_time.map(|starts_at| Slot {
                starts_at,
                minutes: duration_minutes,
            }),
            counselor_id: row.try_get("counselor_id")?,
            is_agreed: row.try_get("user_consent")?,
        },
        duration_minutes,
        consent_given_at: row.try_get("consent_given_at")?,
        completed_at: row.try_get("completed_at")?,
        cancel_reason: row.try_get("cancel_reason")?,
        notes: row.try_get("notes")?,
        follow_up_of: row.try_get("follow_up_of")?,
    })
}

/// Proposes an urgent meeting to each client, who must agree to it; one that is proposed already is enough.
pub(crate) async fn propose_urgent(tx: &Tx, user_ids: &[&str], now: DateTime<Utc>) -> Result<(), db::Error> {
    if user_ids.is_empty() {
        return Ok(());
    }
    tx.execute(
        "insert into social.meetings (user_id, created_at, meeting_type, status)
         select u.user_id, $2, 'urgent', 'proposed'
         from unnest($1::varchar[]) as u (user_id)
         where not exists (select from social.meetings m
            where m.user_id = u.user_id and m.meeting_type = 'urgent' and m.status = 'proposed')",
        &[&user_ids, &now],
    )
    .await?;
    Ok(())
}

/// A meeting that is about to be stored.
pub(crate) struct Insert<'a> {
    pub(crate) user_id: &'a str,
    pub(crate) meeting_type: &'a str,
    pub(crate) counselor_id: Option<&'a str>,
    pub(crate) slot: Option<Slot>,
    pub(crate) status: MeetingStatus,
    /// Whether the client has agreed to it by asking for it.
    pub(crate) is_agreed: bool,
    pub(crate) notes: Option<&'a str>,
    pub(crate) follow_up_of: Option<i64>,
}

/// Stores a meeting; `ex_meetings_counselor` or `ex_meetings_client` where its time is to be kept and is taken.
pub(crate) async fn insert(
    tx: &Tx,
    new: &Insert<'_>,
    now: Option<DateTime<Utc>>,
) -> Result<Meeting, db::Error> {
    let sql = format!(
        "insert into social.meetings as m (user_id, created_at, meeting_type, counselor_id, scheduled_time,
            duration_minutes, ends_at, status, user_consent, consent_given_at, notes, follow_up_of)
         select $1, clock.now, $2, $3, $4::timestamptz, $5::int4, $6::timestamptz, $7, $8::boolean,
            case when $8::boolean then clock.now end, $9, $10::int8
         from (select coalesce($11::timestamptz, now()) as now) as clock
         returning {COLUMNS}"
    );
    let params: db::Params<'_> = &[
        &new.user_id,
        &new.meeting_type,
        &new.counselor_id,
        &new.slot.map(|slot| slot.starts_at),
        &new.slot.map_or(DEFAULT_MINUTES, |slot| slot.minutes),
        &new.slot.map(Slot::ends_at),
        &new.status.as_str(),
        &new.is_agreed,
        &new.notes,
        &new.follow_up_of,
        &now,
    ];
    from_row(&tx.query_one(&sql, params).await?)
}

/// With whom a meeting is, unless the client is seen for a crisis alone. `$1` its id.
const CLIENT: &str = "
    select m.user_id from social.meetings m
    where m.meeting_id = $1 and m.user_id <> all (array(select core.crisis_clients()))";

/// With whom a meeting is, as far as the caller sees it.
pub(crate) async fn client(tx: &Tx, meeting_id: i64) -> Result<Option<String>, db::Error> {
    let row = tx.query_opt(CLIENT, &[&meeting_id]).await?;
    row.map(|row| Ok(row.try_get("user_id")?)).transpose()
}

/// Locks a meeting, whose client is locked; with the time that it is.
pub(crate) async fn lock(
    tx: &Tx,
    meeting_id: i64,
    now: Option<DateTime<Utc>>,
) -> Result<Option<(Meeting, DateTime<Utc>)>, db::Error> {
    let sql = format!(
        "select {COLUMNS}, coalesce($2::timestamptz, now()) as now
         from social.meetings m where m.meeting_id = $1 for update of m"
    );
    let row = tx.query_opt(&sql, &[&meeting_id, &now]).await?;
    row.map(|row| Ok((from_row(&row)?, row.try_get("now")?)))
        .transpose()
}

/// Holds the client's consent to be met until the transaction ends; `false` where there is none.
pub(crate) async fn hold_consent(tx: &Tx, user_id: &str) -> Result<bool, db::Error> {
    let row = tx
        .query_one(
            "select core.hold_consent($1, 'meeting', 'programme') is not null as is_held",
            &[&user_id],
        )
        .await?;
    Ok(row.try_get("is_held")?)
}

/// The client agreed to a locked meeting.
pub(crate) async fn agree(tx: &Tx, meeting_id: i64, now: DateTime<Utc>) -> Result<Meeting, db::Error> {
    let sql = format!(
        "update social.meetings m set user_consent = true, consent_given_at = $2
         where m.meeting_id = $1 returning {COLUMNS}"
    );
    from_row(&tx.query_one(&sql, &[&meeting_id, &now]).await?)
}

/// A counselor confirms a locked meeting for a time.
pub(crate) async fn confirm(
    tx: &Tx,
    meeting_id: i64,
    counselor: &str,
    slot: Slot,
) -> Result<Meeting, db::Error> {
    let sql = format!(
        "update social.meetings m
         set status = 'confirmed', counselor_id = $2, scheduled_time = $3, duration_minutes = $4, ends_at = $5
         where m.meeting_id = $1 returning {COLUMNS}"
    );
    let params: db::Params<'_> = &[
        &meeting_id,
        &counselor,
        &slot.starts_at,
        &slot.minutes,
        &slot.ends_at(),
    ];
    from_row(&tx.query_one(&sql, params).await?)
}

/// A locked meeting took place: the client was spoken with then, whenever that is entered.
pub(crate) async fn complete(
    tx: &Tx,
    meeting_id: i64,
    (staff_id, notes): (&str, Option<&str>),
    now: DateTime<Utc>,
) -> Result<Meeting, db::Error> {
    let sql = format!(
        "with contact as (
            insert into social.contacts (client_id, staff_id, method, outcome, at)
            select c.user_id, $2, 'other', 'spoke', least($4, c.ends_at) from social.meetings c where c.meeting_id = $1)
         update social.meetings m set status = 'completed', completed_at = least($4, m.ends_at), notes = coalesce($3, m.notes)
         where m.meeting_id = $1 returning {COLUMNS}"
    );
    from_row(
        &tx.query_one(&sql, &[&meeting_id, &staff_id, &notes, &now])
            .await?,
    )
}

/// The client did not come to a locked meeting.
pub(crate) async fn miss(tx: &Tx, meeting_id: i64, notes: Option<&str>) -> Result<Meeting, db::Error> {
    let sql = format!(
        "update social.meetings m set status = 'no_show', notes = coalesce($2, m.notes)
         where m.meeting_id = $1 returning {COLUMNS}"
    );
    from_row(&tx.query_one(&sql, &[&meeting_id, &notes]).await?)
}

/// A locked meeting does not take place.
pub(crate) async fn cancel(tx: &Tx, meeting_id: i64, reason: Option<&str>) -> Result<Meeting, db::Error> {
    let sql = format!(
        "update social.meetings m set status = 'cancelled', cancel_reason = $2
         where m.meeting_id = $1 returning {COLUMNS}"
    );
    from_row(&tx.query_one(&sql, &[&meeting_id, &reason]).await?)
}

/// Latest first, by when they take place, or were proposed where that is open. `$1` client, `$2` counselor, `$3` status,
/// `$4` and `$5` the time after and before which they take place, each or null; `$6` and `$7` the row to go on behind, `$8`
/// limit. Not of clients who are seen for a crisis alone.
pub(crate) fn list_sql() -> String {
    format!(
        "select {COLUMNS} from social.meetings m
         where m.user_id = any ((select core.visible_clients())::varchar[])
            and m.user_id <> all (array(select core.crisis_clients()))
            and ($1::varchar is null or m.user_id = $1) and ($2::varchar is null or m.counselor_id = $2)
            and ($3::varchar is null or m.status = $3)
            and ($4::timestamptz is null or m.ends_at > $4) and ($5::timestamptz is null or m.scheduled_time < $5)
            and (coalesce(m.scheduled_time, m.created_at), m.meeting_id) < ($6, $7)
         order by coalesce(m.scheduled_time, m.created_at) desc, m.meeting_id desc
         limit $8"
    )
}

/// One meeting, unless its client is seen for a crisis alone. `$1` its id.
pub(crate) fn find_sql() -> String {
    format!(
        "select {COLUMNS} from social.meetings m
         where m.meeting_id = $1 and m.user_id <> all (array(select core.crisis_clients()))"
    )
}

/// Whether somebody is a counselor who has the client in the caseload.
pub(crate) async fn counsels(tx: &Tx, staff_id: &str, client: &str) -> Result<bool, db::Error> {
    let row = tx
        .query_one(
            "select social.counsels($1, $2) as counsels",
            &[&staff_id, &client],
        )
        .await?;
    Ok(row.try_get("counsels")?)
}

/// A meeting of which the client is to be reminded.
#[derive(Clone, Debug)]
pub(crate) struct Nearing {
    pub(crate) user_id: String,
    pub(crate) label: RiskLabel,
    pub(crate) scheduled_time: DateTime<Utc>,
    pub(crate) now: DateTime<Utc>,
}

/// Notes of meetings that are near that their clients are reminded of them now, soonest first; leaves clients on whom
/// somebody works.
pub(crate) async fn claim_nearing(
    tx: &Tx,
    now: Option<DateTime<Utc>>,
    limit: i64,
) -> Result<Vec<Nearing>, db::Error> {
    let sql = format!(
        "with clock as (select coalesce($1::timestamptz, now()) as now),
         near as (
            select n.meeting_id, p.user_id, p.current_risk_label
            from clock
            join social.meetings n on n.status = 'confirmed' and n.reminded_at is null
                and n.scheduled_time > clock.now and n.scheduled_time <= clock.now + interval '{REMINDER_HOURS} hours'
            join social.user_risk_profiles p on p.user_id = n.user_id
            order by n.scheduled_time limit $2 for update of p skip locked)
         update social.meetings m set reminded_at = clock.now
         from clock, near
         where m.meeting_id = near.meeting_id and m.status = 'confirmed' and m.reminded_at is null
         returning m.user_id, m.scheduled_time, near.current_risk_label, clock.now"
    );
    let rows = tx.query(&sql, &[&now, &limit]).await?;
    rows.iter()
        .map(|row| {
            Ok(Nearing {
                user_id: row.try_get("user_id")?,
                label: word(row, "current_risk_label")?,
                scheduled_time: row.try_get("scheduled_time")?,
                now: row.try_get("now")?,
            })
        })
        .collect()
}
