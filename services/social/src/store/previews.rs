//! What was scored of clients and when they wrote to buddies, a row a client, for a replay.

use chrono::{DateTime, Utc};
use common::Probability;
use db::{Row, Tx};

use crate::domain::preview::History;
use crate::domain::readings::{MEDIUM_DAYS, Scored};

/// Clients as a draw that is always the same, and their histories: a medium window more than is looked at, so that the
/// first label is right as well.
fn sql() -> String {
    format!(
        "with clock as materialized (
            select c.now, c.now - make_interval(days => $2) - interval '{MEDIUM_DAYS} days' as since
            from (select coalesce($1::timestamptz, now()) as now) as c)
        select s.at, s.risk, s.isolation, s.craving, s.relapse, s.toxic, b.buddy_at
        from (select p.user_id from social.user_risk_profiles p where not p.is_drill order by md5(p.user_id) limit $3) as u
        cross join clock
        cross join lateral (
            select array_agg(o.message_timestamp) as at, array_agg(o.risk_score::float8) as risk,
                array_agg(o.p_isolation::float8) as isolation, array_agg(o.p_craving::float8) as craving,
                array_agg(o.p_relapse::float8) as relapse, array_agg(o.p_toxic::float8) as toxic
            from (
                select r.message_timestamp, r.risk_score, r.p_isolation, r.p_craving, r.p_relapse, r.p_toxic
                from social.message_predictions r
                where r.user_id = u.user_id and not r.superseded
                    and r.message_timestamp > clock.since and r.message_timestamp <= clock.now
                order by r.message_timestamp) as o) as s
        cross join lateral (
            select array_agg(o.timestamp) as buddy_at
            from (
                select m.timestamp from core.messages m
                where m.user_id = u.user_id and m.sender_role = 'user' and m.conversation_type = 'buddy'
                    and m.timestamp > clock.since and m.timestamp <= clock.now
                order by m.timestamp) as o) as b"
    )
}

/// Whether the histories are longer than so many rows, of which no more are counted.
fn is_too_much_sql() -> String {
    format!(
        "with clock as materialized (
            select c.now, c.now - make_interval(days => $2) - interval '{MEDIUM_DAYS} days' as since
            from (select coalesce($1::timestamptz, now()) as now) as c),
         drawn as (
            select p.user_id from social.user_risk_profiles p where not p.is_drill order by md5(p.user_id) limit $3)
         select count(*) > $4::int8 as is_too_much
         from (
            select from drawn u cross join clock join social.message_predictions r on r.user_id = u.user_id
                and not r.superseded and r.message_timestamp > clock.since and r.message_timestamp <= clock.now
            union all
            select from drawn u cross join clock join core.messages m on m.user_id = u.user_id and m.sender_role = 'user'
                and m.conversation_type = 'buddy' and m.timestamp > clock.since and m.timestamp <= clock.now
            limit $4::int8 + 1) as n"
    )
}

/// What a preview looks at.
pub(crate) struct Drawn {
    pub(crate) now: DateTime<Utc>,
    /// All clients there are.
    pub(crate) clients: i64,
    /// Of those that were drawn.
    pub(crate) histories: Vec<History>,
}

/// How much a preview looks at.
pub(crate) struct Extent {
    pub(crate) days: i32,
    pub(crate) most_clients: i64,
    pub(crate) most_rows: i32,
}

/// Draws clients and reads their days; `None` where that is more rows than may be read.
pub(crate) async fn draw(
    tx: &Tx,
    now: Option<DateTime<Utc>>,
    extent: Extent,
) -> Result<Option<Drawn>, db::Error> {
    let Extent {
        days, most_clients, ..
    } = extent;
    let most_rows = i64::from(extent.most_rows);
    let counted = tx
        .query_one(&is_too_much_sql(), &[&now, &days, &most_clients, &most_rows])
        .await?;
    if counted.try_get("is_too_much")? {
        return Ok(None);
    }
    let count = "select count(*) as clients, coalesce($1::timestamptz, now()) as now
         from social.user_risk_profiles p where not p.is_drill";
    let row = tx.query_one(count, &[&now]).await?;
    let rows = tx.query(&sql(), &[&now, &days, &most_clients]).await?;
    Ok(Some(Drawn {
        now: row.try_get("now")?,
        clients: row.try_get("clients")?,
        histories: rows.iter().map(history).collect::<Result<_, _>>()?,
    }))
}

fn history(row: &Row) -> Result<History, db::Error> {
    let at: Option<Vec<DateTime<Utc>>> = row.try_get("at")?;
    let [risk, isolation, craving, relapse, toxic] = [
        scores(row, "risk")?,
        scores(row, "isolation")?,
        scores(row, "craving")?,
        scores(row, "relapse")?,
        scores(row, "toxic")?,
    ];
    let scored = at
        .unwrap_or_default()
        .into_iter()
        .zip(risk)
        .zip(isolation.into_iter().zip(craving))
        .zip(relapse.into_iter().zip(toxic));
    let buddy_at: Option<Vec<DateTime<Utc>>> = row.try_get("buddy_at")?;
    Ok(History {
        scored: scored
            .map(
                |(((at, risk_score), (isolation, craving)), (relapse, toxic))| Scored {
                    at,
                    risk_score,
                    isolation,
                    craving,
                    relapse,
                    toxic,
                },
            )
            .collect(),
        buddy_at: buddy_at.unwrap_or_default(),
    })
}

fn scores(row: &Row, column: &str) -> Result<Vec<Probability>, db::Error> {
    let values: Option<Vec<f64>> = row.try_get(column)?;
    let read =
        |value| Probability::new(value).ok_or_else(|| db::Error::Row(format!("{column} is not in 0..=1")));
    values.unwrap_or_default().into_iter().map(read).collect()
}
