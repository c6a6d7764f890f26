//! What the windows of a client are counted from: the predictions of 30 days, the client's own messages of 7.
//!
//! The rows of the predictions are handed on as they are, and `domain::readings` counts them: that is cheaper than a
//! dozen filtered aggregates, and the rule stands in one place.

use std::collections::HashMap;
use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use db::{Params, Row, Tx};

use super::probability;
use crate::domain::readings::{MEDIUM_DAYS, Readings, Scored};
use crate::domain::windows::{Messages, SHORT_DAYS};

/// The two statements that read clients. `$2` is the time, by default the database's clock.
pub(crate) struct Statements {
    messages: String,
    scored: String,
}

/// Of clients by their ids (`$1`).
static OF_CLIENTS: LazyLock<Statements> = LazyLock::new(|| Statements::of("unnest($1::varchar[])"));

/// Of the authors of messages (`$1`: message ids).
static OF_AUTHORS: LazyLock<Statements> = LazyLock::new(|| {
    Statements::of(
        "(select distinct m.user_id from core.messages m where m.message_id = any ($1) and m.user_id is not null)",
    )
});

impl Statements {
    /// Two indexes are read and no table: an entry per message of the short window, an entry per prediction of the
    /// medium one. The instant of a client is that of the statement on messages: later than the profile was locked, so
    /// that a later count of the same client is never of an earlier instant. The other one begins its window with the
    /// transaction, which is earlier, and so leaves out nothing. Who wrote within the short window is not looked up again
    /// for the last message. A client yields a row per prediction: what the pipelines of one client may write in 30 days
    /// bounds them.
    fn of(clients: &str) -> Self {
        Self {
            messages: format!(
                "with clock as materialized (
                    select c.now, c.now - interval '{SHORT_DAYS} days' as short
                    from (select coalesce($2::timestamptz, clock_timestamp()) as now) as c)
                select u.user_id, clock.now, m.total, m.buddy, m.counselor, m.next_change_at,
                    coalesce(m.last_at, last_own.at) as last_at,
                    coalesce(m.last_buddy_at, last_buddy.at) as last_buddy_at
                from {clients} as u (user_id)
                cross join clock
                cross join lateral (
                    select count(*) filter (where past) as total,
                        count(*) filter (where past and conversation_type = 'buddy') as buddy,
                        count(*) filter (where past and conversation_type = 'counselor') as counselor,
                        max(at) filter (where past) as last_at,
                        max(at) filter (where past and conversation_type = 'buddy') as last_buddy_at,
                        least(
                            min(at) filter (where past) + interval '{SHORT_DAYS} days',
                            min(at) filter (where not past)) as next_change_at
                    from (
                        select s.timestamp as at, s.conversation_type, s.timestamp <= clock.now as past
                        from core.messages s
                        where s.user_id = u.user_id and s.sender_role = 'user' and s.timestamp > clock.short) as own
                ) as m
                left join lateral (
                    select l.timestamp as at from core.messages l
                    where m.last_at is null
                        and l.user_id = u.user_id and l.sender_role = 'user' and l.timestamp <= clock.now
                    order by l.timestamp desc limit 1
                ) as last_own on true
                left join lateral (
                    select b.timestamp as at from core.messages b
                    where m.last_buddy_at is null
                        and b.user_id = u.user_id and b.sender_role = 'user' and b.conversation_type = 'buddy'
                        and b.timestamp <= clock.now
                    order by b.timestamp desc limit 1
                ) as last_buddy on true"
            ),
            scored: format!(
                "select u.user_id, s.message_timestamp, s.risk_score, s.p_isolation, s.p_craving, s.p_relapse, s.p_toxic
                from {clients} as u (user_id)
                cross join lateral (
                    select r.message_timestamp, r.risk_score, r.p_isolation, r.p_craving, r.p_relapse, r.p_toxic
                    from social.message_predictions r
                    where r.user_id = u.user_id and not r.superseded
                        and r.message_timestamp > coalesce($2::timestamptz, now()) - interval '{MEDIUM_DAYS} days'
                    offset 0) as s"
            ),
        }
    }

    /// As [`Tx::pipeline`] takes them. `params`: the clients and the time.
    pub(crate) fn with<'a>(&'a self, params: Params<'a>) -> [(&'a str, Params<'a>); 2] {
        [(&self.messages, params), (&self.scored, params)]
    }
}

/// For the authors of messages (`$1`: message ids).
pub(crate) fn of_authors() -> &'static Statements {
    &OF_AUTHORS
}

/// For clients by their ids (`$1`).
pub(crate) fn of_clients() -> &'static Statements {
    &OF_CLIENTS
}

/// Reads clients.
pub(crate) async fn read(
    tx: &Tx,
    user_ids: &[&str],
    now: Option<DateTime<Utc>>,
) -> Result<HashMap<String, Readings>, db::Error> {
    let results = tx.pipeline(&OF_CLIENTS.with(&[&user_ids, &now])).await?;
    let [messages, scored] = results.as_slice() else {
        return Err(db::Error::Row("two statements have two results".to_owned()));
    };
    from_rows(messages, scored)
}

/// What the two statements found, by client.
pub(crate) fn from_rows(messages: &[Row], scored: &[Row]) -> Result<HashMap<String, Readings>, db::Error> {
    let mut readings = HashMap::with_capacity(messages.len());
    for row in messages {
        readings.insert(row.try_get("user_id")?, readings_from_row(row)?);
    }
    for row in scored {
        let user_id: &str = row.try_get("user_id")?;
        if let Some(of_client) = readings.get_mut(user_id) {
            of_client.scored.push(scored_from_row(row)?);
        }
    }
    Ok(readings)
}

fn readings_from_row(row: &Row) -> Result<Readings, db::Error> {
    Ok(Readings {
        now: row.try_get("now")?,
        messages: Messages {
            total: row.try_get("total")?,
            buddy: row.try_get("buddy")?,
            counselor: row.try_get("counselor")?,
            last_at: row.try_get("last_at")?,
            last_buddy_at: row.try_get("last_buddy_at")?,
        },
        next_message_change_at: row.try_get("next_change_at")?,
        scored: Vec::new(),
    })
}

fn scored_from_row(row: &Row) -> Result<Scored, db::Error> {
    Ok(Scored {
        at: row.try_get("message_timestamp")?,
        risk_score: probability(row, "risk_score")?,
        isolation: probability(row, "p_isolation")?,
        craving: probability(row, "p_craving")?,
        relapse: probability(row, "p_relapse")?,
        toxic: probability(row, "p_toxic")?,
    })
}
