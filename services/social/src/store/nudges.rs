//! `social.nudges`.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use common::RiskLabel;
use db::{Row, Tx};

use super::{circumstances, word};
use crate::domain::nudge::{BUDGET_HOURS, Channel, Circumstances, Release, Source, Withheld};

/// A nudge that is about to be stored.
#[derive(Clone, Debug)]
pub(crate) struct Insert {
    pub(crate) user_id: String,
    pub(crate) nudge_type: String,
    pub(crate) nudge_message: String,
    pub(crate) risk_level: RiskLabel,
    pub(crate) source: Source,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) send_after: DateTime<Utc>,
    pub(crate) expires_at: DateTime<Utc>,
    pub(crate) channel: Channel,
    pub(crate) withheld_reason: Option<Withheld>,
    pub(crate) dedup_key: Option<String>,
    pub(crate) recommendation_id: Option<i64>,
}

impl Insert {
    /// Its first state.
    pub(crate) fn status(&self) -> &'static str {
        if self.withheld_reason.is_some() {
            "withheld"
        } else if self.send_after > self.created_at {
            "held"
        } else {
            "pending"
        }
    }
}

/// Stores nudges; returns their ids in the order given.
pub(crate) async fn insert(tx: &Tx, rows: &[Insert]) -> Result<Vec<i64>, db::Error> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let stored = tx
        .query(
            "with stored as (
                insert into social.nudges (user_id, nudge_type, nudge_message, risk_level, source, timestamp, send_after,
                    expires_at, status, channel, withheld_reason, dedup_key, recommendation_id)
                select n.user_id, n.nudge_type, n.nudge_message, n.risk_level, n.source, n.created_at, n.send_after,
                    n.expires_at, n.status, n.channel, n.withheld_reason, n.dedup_key, n.recommendation_id
                from unnest($1::varchar[], $2::varchar[], $3::text[], $4::varchar[], $5::varchar[], $6::timestamptz[],
                    $7::timestamptz[], $8::timestamptz[], $9::varchar[], $10::varchar[], $11::varchar[], $12::varchar[],
                    $13::bigint[])
                    with ordinality as n (user_id, nudge_type, nudge_message, risk_level, source, created_at, send_after,
                        expires_at, status, channel, withheld_reason, dedup_key, recommendation_id, position)
                order by n.position
                returning nudge_id)
             select nudge_id from stored order by nudge_id",
            &[
                &rows.iter().map(|row| row.user_id.as_str()).collect::<Vec<_>>(),
                &rows.iter().map(|row| row.nudge_type.as_str()).collect::<Vec<_>>(),
                &rows.iter().map(|row| row.nudge_message.as_str()).collect::<Vec<_>>(),
                &rows.iter().map(|row| row.risk_level.as_str()).collect::<Vec<_>>(),
                &rows.iter().map(|row| row.source.as_str()).collect::<Vec<_>>(),
                &rows.iter().map(|row| row.created_at).collect::<Vec<_>>(),
                &rows.iter().map(|row| row.send_after).collect::<Vec<_>>(),
                &rows.iter().map(|row| row.expires_at).collect::<Vec<_>>(),
                &rows.iter().map(Insert::status).collect::<Vec<_>>(),
                &rows.iter().map(|row| row.channel.as_str()).collect::<Vec<_>>(),
                &rows.iter().map(|row| row.withheld_reason.map(Withheld::as_str)).collect::<Vec<_>>(),
                &rows.iter().map(|row| row.dedup_key.as_deref()).collect::<Vec<_>>(),
                &rows.iter().map(|row| row.recommendation_id).collect::<Vec<_>>(),
            ],
        )
        .await?;
    stored.iter().map(|row| Ok(row.try_get("nudge_id")?)).collect()
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
    pub(crate) channel: String,
    pub(crate) withheld_reason: Option<String>,
    pub(crate) recommendation_id: Option<i64>,
    pub(crate) send_after: DateTime<Utc>,
    pub(crate) expires_at: DateTime<Utc>,
    pub(crate) sent_at: Option<DateTime<Utc>>,
    pub(crate) viewed_at: Option<DateTime<Utc>>,
    pub(crate) acted_on_at: Option<DateTime<Utc>>,
    pub(crate) user_response: Option<String>,
    pub(crate) response_data: Option<serde_json::Value>,
}

/// The columns of a nudge, under the alias `n`.
const COLUMNS: &str = "n.nudge_id, n.user_id, n.timestamp, n.nudge_type, n.nudge_message, n.risk_level, n.status, n.source,
    n.channel, n.withheld_reason, n.recommendation_id, n.send_after, n.expires_at, n.sent_at, n.viewed_at, n.acted_on_at,
    n.user_response, n.response_data";

/// A client's nudges, newest first. `$1` user, `$2` and `$3` the row to go on behind, `$4` limit, `$5` whether also
/// those that did not reach the client.
pub(crate) fn list_sql() -> String {
    format!(
        "select {COLUMNS} from social.nudges n
         where n.user_id = $1 and (n.timestamp, n.nudge_id) < ($2, $3)
            and ($5 or n.status in ('sent', 'viewed', 'responded'))
         order by n.timestamp desc, n.nudge_id desc
         limit $4"
    )
}

/// One nudge, unless its client is seen for a crisis alone. `$1` its id, `$2` whether also when it did not reach the
/// client.
pub(crate) fn find_sql() -> String {
    format!(
        "select {COLUMNS} from social.nudges n
         where n.nudge_id = $1 and ($2 or n.status in ('sent', 'viewed', 'responded'))
            and n.user_id <> all (array(select core.crisis_clients()))"
    )
}

/// The nudges that clients have under keys, each with its key.
pub(crate) async fn of_keys(tx: &Tx, keys: &[(&str, String)]) -> Result<Vec<(String, Nudge)>, db::Error> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let (clients, keys): (Vec<&str>, Vec<&str>) =
        keys.iter().map(|(client, key)| (*client, key.as_str())).unzip();
    let sql = format!(
        "select {COLUMNS}, n.dedup_key from unnest($1::varchar[], $2::varchar[]) as k (user_id, dedup_key)
         join social.nudges n on n.user_id = k.user_id and n.dedup_key = k.dedup_key"
    );
    let found = tx.query(&sql, &[&clients, &keys]).await?;
    found
        .iter()
        .map(|row| Ok((row.try_get("dedup_key")?, from_row(row)?)))
        .collect()
}

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
        channel: row.try_get("channel")?,
        withheld_reason: row.try_get("withheld_reason")?,
        recommendation_id: row.try_get("recommendation_id")?,
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
        .query_opt(&format!("{} for update of n", find_sql()), &[&nudge_id, &true])
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

/// A nudge whose time has come.
#[derive(Clone, Debug)]
pub(crate) struct Due {
    pub(crate) nudge: Nudge,
    /// The label at its creation, whose limits it was made within.
    pub(crate) label: RiskLabel,
    pub(crate) source: Source,
    /// The policy that the client's profile was computed with.
    pub(crate) policy_version: String,
}

/// Locks the profiles of clients who have nudges that are due, so that one client's are looked at by one; leaves those that
/// somebody works on. Then the nudges, and what is to be known of the clients: at most `limit` clients.
pub(crate) async fn lock_due(
    tx: &Tx,
    now: Option<DateTime<Utc>>,
    limit: i64,
) -> Result<(Vec<Due>, HashMap<String, Circumstances>), db::Error> {
    let locked = tx
        .query(
            "with due as (
                select distinct d.user_id from (
                    select n.user_id from social.nudges n
                    where n.status in ('pending', 'held') and n.send_after <= coalesce($1::timestamptz, now())
                    order by n.send_after limit $2) as d)
             select p.user_id, p.risk_label_since from social.user_risk_profiles p
             where p.user_id in (select d.user_id from due d)
             order by p.user_id for update of p skip locked",
            &[&now, &limit],
        )
        .await?;
    let clients: Vec<&str> = locked
        .iter()
        .map(|row| row.try_get("user_id"))
        .collect::<Result<_, _>>()?;
    if clients.is_empty() {
        return Ok((Vec::new(), HashMap::new()));
    }
    let since: Vec<DateTime<Utc>> = locked
        .iter()
        .map(|row| row.try_get("risk_label_since"))
        .collect::<Result<_, _>>()?;
    let due = format!(
        "select {COLUMNS}, p.policy_version
         from social.nudges n join social.user_risk_profiles p on p.user_id = n.user_id
         where n.user_id = any ($2) and n.status in ('pending', 'held')
            and n.send_after <= coalesce($1::timestamptz, now())
         order by n.send_after, n.nudge_id for update of n"
    );
    let arrived = circumstances::ARRIVED.as_slice();
    let of_due: db::Params<'_> = &[&now, &clients];
    let of_clients: db::Params<'_> = &[&clients, &since, &now, &BUDGET_HOURS, &arrived];
    let results = tx
        .pipeline(&[(&due, of_due), (&circumstances::sql(), of_clients)])
        .await?;
    let [due, found] = results.as_slice() else {
        return Err(db::Error::Row("what is due is read by two statements".to_owned()));
    };
    let due = due.iter().map(due_from_row).collect::<Result<_, _>>()?;
    Ok((due, circumstances::by_client(found)?))
}

fn due_from_row(row: &Row) -> Result<Due, db::Error> {
    Ok(Due {
        nudge: from_row(row)?,
        label: word(row, "risk_level")?,
        source: word(row, "source")?,
        policy_version: row.try_get("policy_version")?,
    })
}

/// Writes what became of nudges whose time had come.
pub(crate) async fn settle(tx: &Tx, settled: &[(i64, Release)], now: DateTime<Utc>) -> Result<(), db::Error> {
    let status = |release: &Release| match release {
        Release::Send(_) => "sent",
        Release::Hold(_) => "held",
        Release::Expire => "expired",
        Release::Withhold(_) => "withheld",
    };
    let until = |release: &Release| match release {
        Release::Hold(until) => Some(*until),
        Release::Send(_) | Release::Expire | Release::Withhold(_) => None,
    };
    let channel = |release: &Release| match release {
        Release::Send(channel) => Some(channel.as_str()),
        Release::Hold(_) | Release::Expire | Release::Withhold(_) => None,
    };
    let reason = |release: &Release| match release {
        Release::Withhold(reason) => Some(reason.as_str()),
        Release::Send(_) | Release::Hold(_) | Release::Expire => None,
    };
    tx.execute(
        "update social.nudges n
         set status = s.status, send_after = coalesce(s.until, n.send_after), channel = coalesce(s.channel, n.channel),
            withheld_reason = s.reason, sent_at = case when s.status = 'sent' then $6::timestamptz end
         from unnest($1::bigint[], $2::varchar[], $3::timestamptz[], $4::varchar[], $5::varchar[])
            as s (nudge_id, status, until, channel, reason)
         where n.nudge_id = s.nudge_id",
        &[
            &settled.iter().map(|(id, _)| *id).collect::<Vec<_>>(),
            &settled.iter().map(|(_, release)| status(release)).collect::<Vec<_>>(),
            &settled.iter().map(|(_, release)| until(release)).collect::<Vec<_>>(),
            &settled.iter().map(|(_, release)| channel(release)).collect::<Vec<_>>(),
            &settled.iter().map(|(_, release)| reason(release)).collect::<Vec<_>>(),
            &now,
        ],
    )
    .await?;
    Ok(())
}
