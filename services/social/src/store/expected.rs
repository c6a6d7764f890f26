//! Contacts with clients that were expected: what `social.escalations` and `social.meetings` promise, and `social.contacts`
//! keep.

use chrono::{DateTime, Utc};
use db::Tx;

use crate::domain::silence::Missed;

/// What was missed longer ago than this many days is history: nobody is told of it on the day when this begins to run.
const LOOK_BACK_DAYS: i32 = 30;

/// Which contacts are looked for.
pub(crate) struct Looked<'a> {
    pub(crate) now: Option<DateTime<Utc>>,
    /// How long after its time a contact is missed.
    pub(crate) grace_hours: i32,
    /// Of whom; `None` for everybody.
    pub(crate) user_ids: Option<&'a [&'a str]>,
    pub(crate) limit: i64,
}

/// Clients with whom a contact was expected and nobody has spoken since it was agreed, each with the latest such contact.
///
/// A try that did not reach the client keeps no promise. A follow-up that was moved is expected at its new time. What an
/// episode of silence has told already is told once.
pub(crate) async fn missed(tx: &Tx, looked: &Looked<'_>) -> Result<Vec<Missed>, db::Error> {
    let sql = format!(
        "with due as (select coalesce($1::timestamptz, now()) - make_interval(hours => $2) as at),
         promises as (
            select e.user_id, e.next_contact_at as due_at, e.resolved_at as made_at, e.escalation_id,
                null::int8 as meeting_id
            from due join social.escalations e on e.next_contact_at <= due.at
                and e.next_contact_at > due.at - interval '{LOOK_BACK_DAYS} days'
            where e.status = 'resolved' and e.next_contact_at is not null and e.user_id is not null
            union all
            select m.user_id, m.scheduled_time, m.created_at, null, m.meeting_id
            from due join social.meetings m on m.scheduled_time <= due.at
                and m.scheduled_time > due.at - interval '{LOOK_BACK_DAYS} days'
            where m.status in ('scheduled', 'confirmed') or (m.status = 'proposed' and m.follow_up_of is not null))
         select distinct on (p.user_id) p.user_id, p.due_at, p.escalation_id, p.meeting_id,
            coalesce(r.current_risk_label, 'UNKNOWN') as risk_label
         from promises p left join social.user_risk_profiles r on r.user_id = p.user_id
         where ($3::varchar[] is null or p.user_id = any ($3))
            and not exists (select from social.contacts c
                where c.client_id = p.user_id and c.at > p.made_at
                  and c.outcome in ('spoke', 'emergency_services', 'false_alarm'))
            and not exists (select from social.meetings k
                where k.user_id = p.user_id and k.status = 'completed' and k.completed_at > p.made_at)
            and not exists (select from social.meetings k
                where k.user_id = p.user_id and p.meeting_id is null and k.meeting_type = 'follow_up'
                  and k.status in ('scheduled', 'confirmed') and k.scheduled_time > p.due_at and k.created_at >= p.made_at)
            and not exists (select from social.escalations s
                where s.user_id = p.user_id and s.escalation_type = 'silence' and s.last_triggered_at >= p.due_at)
         order by p.user_id, p.due_at desc
         limit $4"
    );
    let params: db::Params<'_> = &[&looked.now, &looked.grace_hours, &looked.user_ids, &looked.limit];
    let rows = tx.query(&sql, params).await?;
    rows.iter()
        .map(|row| {
            Ok(Missed {
                user_id: row.try_get("user_id")?,
                expected_at: row.try_get("due_at")?,
                escalation_id: row.try_get("escalation_id")?,
                meeting_id: row.try_get("meeting_id")?,
                risk_label: row.try_get("risk_label")?,
            })
        })
        .collect()
}
