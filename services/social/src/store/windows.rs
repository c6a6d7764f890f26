//! The sums over a client's predictions and messages that the rules count by.

use chrono::{DateTime, Utc};
use common::Probability;
use db::{Row, Tx};

use super::optional_probability;
use crate::domain::policy::Thresholds;
use crate::domain::windows::{Messages, Sums, Windows};

/// Counts the windows of clients as of `now`, by default the database's clock when the statement runs: after the
/// profiles were locked, so that a later count of the same client is never of an earlier instant.
///
/// Reads two indexes and no table: one entry per message of the last 30 days, one per own message of the last 7.
pub(crate) async fn count(
    tx: &Tx,
    user_ids: &[&str],
    thresholds: &Thresholds,
    now: Option<DateTime<Utc>>,
) -> Result<Vec<(String, Windows)>, db::Error> {
    let [high, relapse, craving, toxic] = [
        thresholds.high,
        thresholds.relapse,
        thresholds.craving,
        thresholds.toxic,
    ]
    .map(Probability::as_f64);
    let rows = tx
        .query(COUNT, &[&user_ids, &now, &high, &relapse, &craving, &toxic])
        .await?;
    rows.iter()
        .map(|row| Ok((row.try_get("user_id")?, from_row(row)?)))
        .collect()
}

// The bounds are computed once, not per row. `least` and the aggregates skip nulls: a window without rows changes at
// no time.
const COUNT: &str = "
    with clock as materialized (
        select c.now, c.now - interval '2 days' as rapid, c.now - interval '7 days' as short,
            c.now - interval '14 days' as before, c.now - interval '30 days' as medium
        from (select coalesce($2::timestamptz, clock_timestamp()) as now) as c)
    select u.user_id, clock.now, p.*, m.total, m.buddy, m.counselor, last_own.at as last_at, last_buddy.at as last_buddy_at,
        least(p.next_change_at, m.next_change_at) as next_row_change_at
    from unnest($1::varchar[]) as u (user_id)
    cross join clock
    cross join lateral (
        select
            count(*) filter (where short) as short_count,
            coalesce(sum(risk) filter (where short), 0)::int8 as short_risk,
            coalesce(sum(isolation) filter (where short), 0)::int8 as short_isolation,
            max(risk_score) filter (where short) as short_max,
            count(*) filter (where short and (risk_score >= $3 or p_relapse >= $4 or p_craving >= $5)) as high_risk,
            count(*) filter (where short and p_toxic >= $6) as toxic,
            count(*) filter (where before) as before_count,
            coalesce(sum(risk) filter (where before), 0)::int8 as before_risk,
            coalesce(sum(isolation) filter (where before), 0)::int8 as before_isolation,
            count(*) filter (where past) as medium_count,
            coalesce(sum(risk) filter (where past), 0)::int8 as medium_risk,
            coalesce(sum(isolation) filter (where past), 0)::int8 as medium_isolation,
            max(risk_score) filter (where past) as medium_max,
            max(risk_score) filter (where rapid) as rapid_max,
            least(
                min(message_timestamp) filter (where rapid) + interval '2 days',
                min(message_timestamp) filter (where short) + interval '7 days',
                min(message_timestamp) filter (where before) + interval '14 days',
                min(message_timestamp) filter (where past) + interval '30 days',
                min(message_timestamp) filter (where not past)) as next_change_at
        from (
            select r.message_timestamp, r.risk_score, r.p_relapse, r.p_craving, r.p_toxic,
                (r.risk_score * 1000000)::int8 as risk, (r.p_isolation * 1000000)::int8 as isolation,
                r.message_timestamp <= clock.now as past,
                r.message_timestamp <= clock.now and r.message_timestamp > clock.rapid as rapid,
                r.message_timestamp <= clock.now and r.message_timestamp > clock.short as short,
                r.message_timestamp <= clock.short and r.message_timestamp > clock.before as before
            from social.message_predictions r
            where r.user_id = u.user_id and not r.superseded
                and r.message_timestamp > clock.medium) as scored
    ) as p
    cross join lateral (
        select
            count(*) filter (where own.timestamp <= clock.now) as total,
            count(*) filter (where own.timestamp <= clock.now and own.conversation_type = 'buddy') as buddy,
            count(*) filter (where own.timestamp <= clock.now and own.conversation_type = 'counselor') as counselor,
            least(
                min(own.timestamp) filter (where own.timestamp <= clock.now) + interval '7 days',
                min(own.timestamp) filter (where own.timestamp > clock.now)) as next_change_at
        from core.messages own
        where own.user_id = u.user_id and own.sender_role = 'user'
            and own.timestamp > clock.short
    ) as m
    left join lateral (
        select l.timestamp as at from core.messages l
        where l.user_id = u.user_id and l.sender_role = 'user' and l.timestamp <= clock.now
        order by l.timestamp desc limit 1
    ) as last_own on true
    left join lateral (
        select b.timestamp as at from core.messages b
        where b.user_id = u.user_id and b.sender_role = 'user' and b.conversation_type = 'buddy'
            and b.timestamp <= clock.now
        order by b.timestamp desc limit 1
    ) as last_buddy on true";

fn from_row(row: &Row) -> Result<Windows, db::Error> {
    let sums = |count: &str, risk: &str, isolation: &str| -> Result<Sums, db::Error> {
        Ok(Sums {
            count: row.try_get(count)?,
            risk_micros: row.try_get(risk)?,
            isolation_micros: row.try_get(isolation)?,
        })
    };
    Ok(Windows {
        now: row.try_get("now")?,
        short: sums("short_count", "short_risk", "short_isolation")?,
        before: sums("before_count", "before_risk", "before_isolation")?,
        medium: sums("medium_count", "medium_risk", "medium_isolation")?,
        rapid_max: optional_probability(row, "rapid_max")?,
        short_max: optional_probability(row, "short_max")?,
        medium_max: optional_probability(row, "medium_max")?,
        short_high_risk_count: row.try_get("high_risk")?,
        short_toxic_incidents: row.try_get("toxic")?,
        messages: Messages {
            total: row.try_get("total")?,
            buddy: row.try_get("buddy")?,
            counselor: row.try_get("counselor")?,
            last_at: row.try_get("last_at")?,
            last_buddy_at: row.try_get("last_buddy_at")?,
        },
        next_row_change_at: row.try_get("next_row_change_at")?,
    })
}
