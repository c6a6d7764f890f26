//! The account that rehearsals are about, and how they went.

use chrono::{DateTime, Utc};
use db::Tx;

use crate::domain::drill::{Last, Verdict};

/// Locks the profile of an account for rehearsals, sets it apart from those of clients, and says what time it is. `None`
/// where there is no such account or a message of its own shows that somebody is behind it.
pub(crate) async fn lock(
    tx: &Tx,
    client: &str,
    now: Option<DateTime<Utc>>,
) -> Result<Option<DateTime<Utc>>, db::Error> {
    let row = tx
        .query_opt(
            "select p.is_drill, coalesce($2::timestamptz, now()) as now from social.user_risk_profiles p
             where p.user_id = $1 and not exists (select from core.messages m where m.user_id = p.user_id)
             for update of p",
            &[&client, &now],
        )
        .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    if !row.try_get::<_, bool>("is_drill")? {
        tx.execute(
            "update social.user_risk_profiles p set is_drill = true, next_recompute_at = null where p.user_id = $1",
            &[&client],
        )
        .await?;
    }
    Ok(Some(row.try_get("now")?))
}

/// The last rehearsal.
pub(crate) async fn last(tx: &Tx, client: &str) -> Result<Option<Last>, db::Error> {
    let row = tx
        .query_opt(
            "select e.escalation_id, e.timestamp, e.status in ('pending', 'notified', 'acknowledged') as is_open
             from social.escalations e where e.user_id = $1 and e.escalation_type = 'drill'
             order by e.timestamp desc, e.escalation_id desc limit 1",
            &[&client],
        )
        .await?;
    row.map(|row| {
        Ok(Last {
            escalation_id: row.try_get("escalation_id")?,
            begun_at: row.try_get("timestamp")?,
            is_open: row.try_get("is_open")?,
        })
    })
    .transpose()
}

/// How a rehearsal went. Who has no way outside the app is reached in it; whoever has one must have been reached by one.
pub(crate) async fn verdict(tx: &Tx, escalation_id: i64) -> Result<Verdict, db::Error> {
    let row = tx
        .query_one(
            "select count(*) as told, count(*) filter (where not p.is_reached) as missed
             from (
                select bool_and(d.method = 'in_app')
                    or bool_or(d.method <> 'in_app' and d.status in ('sent', 'delivered')) as is_reached
                from social.notification_deliveries d where d.escalation_id = $1 group by d.staff_id) as p",
            &[&escalation_id],
        )
        .await?;
    Ok(Verdict {
        told: row.try_get("told")?,
        missed: row.try_get("missed")?,
    })
}
