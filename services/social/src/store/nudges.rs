//! `social.nudges`.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use db::{Row, Tx};

use crate::domain::intervention::NudgeHistory;
use crate::domain::profile::Profile;

/// What a decision about a nudge must know of a client.
pub(crate) struct Circumstances {
    pub(crate) user_id: String,
    pub(crate) zone: Tz,
    pub(crate) history: NudgeHistory,
}

/// Counts what clients got already, by when it reached them: a nudge held overnight counts from the morning on. Nudges
/// that were withheld or expired never did. The first nudge after a label is the rules' own.
pub(crate) async fn circumstances(tx: &Tx, profiles: &[&Profile]) -> Result<Vec<Circumstances>, db::Error> {
    let rows = tx
        .query(
            "select u.user_id, u.timezone, n.last_24_hours, n.since_label, n.last_at
             from unnest($1::varchar[], $2::timestamptz[], $3::timestamptz[]) as c (user_id, label_since, now)
             join core.users u on u.user_id = c.user_id
             cross join lateral (
                select count(*) filter (where greatest(g.timestamp, g.send_after) > c.now - interval '24 hours') as last_24_hours,
                    count(*) filter (where g.source = 'rule' and g.timestamp >= c.label_since) as since_label,
                    max(greatest(g.timestamp, g.send_after)) as last_at
                from social.nudges g
                where g.user_id = c.user_id and g.status not in ('withheld', 'expired')) as n",
            &[
                &profiles.iter().map(|p| p.user_id.as_str()).collect::<Vec<_>>(),
                &profiles.iter().map(|p| p.label_since).collect::<Vec<_>>(),
                &profiles.iter().map(|p| p.windows.now).collect::<Vec<_>>(),
            ],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let zone: &str = row.try_get("timezone")?;
            Ok(Circumstances {
                user_id: row.try_get("user_id")?,
                // Core refuses unknown zones; one that the zone database has dropped since counts as UTC.
                zone: zone.parse().unwrap_or(Tz::UTC),
                history: NudgeHistory {
                    last_24_hours: row.try_get("last_24_hours")?,
                    since_label: row.try_get("since_label")?,
                    last_at: row.try_get("last_at")?,
                },
            })
        })
        .collect()
}

/// The time zone of a client whom the transaction sees; UTC where it is unknown.
pub(crate) async fn zone(tx: &Tx, user_id: &str) -> Result<Tz, db::Error> {
    let row = tx
        .query_opt(
            "select u.timezone from core.users u where u.user_id = $1",
            &[&user_id],
        )
        .await?;
    let zone: Option<&str> = row.as_ref().map(|row| row.try_get("timezone")).transpose()?;
    Ok(zone.and_then(|zone| zone.parse().ok()).unwrap_or(Tz::UTC))
}

/// A nudge that is about to be stored.
#[derive(Clone, Debug)]
pub(crate) struct Insert {
    pub(crate) user_id: String,
    pub(crate) nudge_type: String,
    pub(crate) nudge_message: String,
    pub(crate) risk_level: &'static str,
    pub(crate) source: &'static str,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) send_after: DateTime<Utc>,
    pub(crate) expires_at: DateTime<Utc>,
}

/// Stores nudges; returns their ids by user. One client gets at most one in a transaction.
pub(crate) async fn insert(tx: &Tx, rows: &[Insert]) -> Result<Vec<(String, i64)>, db::Error> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let stored = tx
        .query(
            "insert into social.nudges (user_id, nudge_type, nudge_message, risk_level, source, timestamp, send_after,
                expires_at, status)
             select n.user_id, n.nudge_type, n.nudge_message, n.risk_level, n.source, n.created_at, n.send_after,
                n.expires_at, case when n.send_after > n.created_at then 'held' else 'pending' end
             from unnest($1::varchar[], $2::varchar[], $3::text[], $4::varchar[], $5::varchar[], $6::timestamptz[],
                $7::timestamptz[], $8::timestamptz[])
                as n (user_id, nudge_type, nudge_message, risk_level, source, created_at, send_after, expires_at)
             returning user_id, nudge_id",
            &[
                &rows.iter().map(|row| row.user_id.as_str()).collect::<Vec<_>>(),
                &rows.iter().map(|row| row.nudge_type.as_str()).collect::<Vec<_>>(),
                &rows.iter().map(|row| row.nudge_message.as_str()).collect::<Vec<_>>(),
                &rows.iter().map(|row| row.risk_level).collect::<Vec<_>>(),
                &rows.iter().map(|row| row.source).collect::<Vec<_>>(),
                &rows.iter().map(|row| row.created_at).collect::<Vec<_>>(),
                &rows.iter().map(|row| row.send_after).collect::<Vec<_>>(),
                &rows.iter().map(|row| row.expires_at).collect::<Vec<_>>(),
            ],
        )
        .await?;
    stored
        .iter()
        .map(|row| Ok((row.try_get("user_id")?, row.try_get("nudge_id")?)))
        .collect()
}

/// A nudge as it is read.
#[derive(Clone, Debug)]
pub(crate) struct Nudge {
    pub(crate) nudge_id: i64,
    pub(crate) user_id: String,
    pub(crate) timestamp: DateTime<Utc>,
    pub(crate) nudge_type: String,
    pub(crate) nudge_message: String,
    pub(crate) risk_level: String,
    pub(crate) status: String,
    pub(crate) source: String,
    pub(crate) send_after: DateTime<Utc>,
    pub(crate) expires_at: DateTime<Utc>,
    pub(crate) sent_at: Option<DateTime<Utc>>,
    pub(crate) viewed_at: Option<DateTime<Utc>>,
    pub(crate) acted_on_at: Option<DateTime<Utc>>,
    pub(crate) user_response: Option<String>,
    pub(crate) response_data: Option<serde_json::Value>,
}

/// A client's nudges, newest first. `$1` user, `$2` and `$3` the row to go on behind, `$4` limit, `$5` whether also
/// those that did not reach the client.
pub(crate) const LIST: &str = "
    select n.nudge_id, n.user_id, n.timestamp, n.nudge_type, n.nudge_message, n.risk_level, n.status, n.source,
        n.send_after, n.expires_at, n.sent_at, n.viewed_at, n.acted_on_at, n.user_response, n.response_data
    from social.nudges n
    where n.user_id = $1 and (n.timestamp, n.nudge_id) < ($2, $3)
        and ($5 or n.status in ('sent', 'viewed', 'responded'))
    order by n.timestamp desc, n.nudge_id desc
    limit $4";

/// One nudge, unless its client is seen for a crisis alone. `$1` its id, `$2` whether also when it did not reach the
/// client.
pub(crate) const FIND: &str = "
    select n.nudge_id, n.user_id, n.timestamp, n.nudge_type, n.nudge_message, n.risk_level, n.status, n.source,
        n.send_after, n.expires_at, n.sent_at, n.viewed_at, n.acted_on_at, n.user_response, n.response_data
    from social.nudges n
    where n.nudge_id = $1 and ($2 or n.status in ('sent', 'viewed', 'responded'))
        and n.user_id <> all (array(select core.crisis_clients()))";

pub(crate) fn from_row(row: &Row) -> Result<Nudge, db::Error> {
    Ok(Nudge {
        nudge_id: row.try_get("nudge_id")?,
        user_id: row.try_get("user_id")?,
        timestamp: row.try_get("timestamp")?,
        nudge_type: row.try_get("nudge_type")?,
        nudge_message: row.try_get("nudge_message")?,
        risk_level: row.try_get("risk_level")?,
        status: row.try_get("status")?,
        source: row.try_get("source")?,
        send_after: row.try_get("send_after")?,
        expires_at: row.try_get("expires_at")?,
        sent_at: row.try_get("sent_at")?,
        viewed_at: row.try_get("viewed_at")?,
        acted_on_at: row.try_get("acted_on_at")?,
        user_response: row.try_get("user_response")?,
        response_data: row.try_get("response_data")?,
    })
}

/// Locks a nudge and reads it.
pub(crate) async fn lock(tx: &Tx, nudge_id: i64) -> Result<Option<Nudge>, db::Error> {
    let row = tx
        .query_opt(&format!("{FIND} for update"), &[&nudge_id, &true])
        .await?;
    row.as_ref().map(from_row).transpose()
}

/// The client saw it; seeing it again changes nothing.
pub(crate) async fn mark_viewed(tx: &Tx, nudge_id: i64, now: Option<DateTime<Utc>>) -> Result<(), db::Error> {
    tx.execute(
        "update social.nudges set status = 'viewed', viewed_at = coalesce($2::timestamptz, now())
         where nudge_id = $1 and status = 'sent'",
        &[&nudge_id, &now],
    )
    .await?;
    Ok(())
}

/// The client answered it.
pub(crate) async fn mark_responded(
    tx: &Tx,
    nudge_id: i64,
    response: &str,
    data: Option<&serde_json::Value>,
    now: Option<DateTime<Utc>>,
) -> Result<(), db::Error> {
    tx.execute(
        "update social.nudges
         set status = 'responded', user_response = $2, response_data = $3,
            acted_on_at = coalesce($4::timestamptz, now()), viewed_at = coalesce(viewed_at, $4::timestamptz, now())
         where nudge_id = $1",
        &[&nudge_id, &response, &data, &now],
    )
    .await?;
    Ok(())
}

/// A nudge whose time came, or went.
#[derive(Clone, Debug)]
pub(crate) struct Released {
    pub(crate) nudge_id: i64,
    pub(crate) user_id: String,
    pub(crate) nudge_type: String,
    pub(crate) status: String,
}

/// Sends what is due (in-app: it can be read from now on) and expires what came too late; at most `limit`.
pub(crate) async fn release_due(
    tx: &Tx,
    now: Option<DateTime<Utc>>,
    limit: i64,
) -> Result<Vec<Released>, db::Error> {
    let rows = tx
        .query(
            "with clock as (select coalesce($1::timestamptz, now()) as now), due as (
                select n.nudge_id from social.nudges n, clock
                where n.status in ('pending', 'held') and n.send_after <= clock.now
                order by n.send_after limit $2 for update of n skip locked)
             update social.nudges n
             set status = case when n.expires_at <= clock.now then 'expired' else 'sent' end,
                sent_at = case when n.expires_at <= clock.now then null else clock.now end
             from due, clock
             where n.nudge_id = due.nudge_id
             returning n.nudge_id, n.user_id, n.nudge_type, n.status",
            &[&now, &limit],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Released {
                nudge_id: row.try_get("nudge_id")?,
                user_id: row.try_get("user_id")?,
                nudge_type: row.try_get("nudge_type")?,
                status: row.try_get("status")?,
            })
        })
        .collect()
}
