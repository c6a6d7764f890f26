//! The relay's view of the outbox table: who publishes which row, and what became of it.
//!
//! No statement here waits for the disk (`synchronous_commit = off`, for its own transaction only): a claim or
//! mark lost in a crash repeats an event, and inboxes drop repeats. The disk is left to the writers.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use common::Event;
use db::{Db, Row};
use serde_json::Value;
use uuid::Uuid;

/// The most events of one round.
const ROUND_EVENTS_MAX: usize = 500;
/// How long a claim keeps other relays away; a round must be over by then.
const CLAIM_SECONDS: u32 = 10;
/// The lag is counted up to here: a count of millions every few seconds would be load of its own.
const LAG_EVENTS_MAX: usize = 100_000;

/// First in every statement, as a row it joins.
const UNHURRIED: &str =
    "with unhurried as materialized (select set_config('synchronous_commit', 'off', true))";

/// An event that this relay is to publish.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) id: i64,
    pub(crate) event_id: Uuid,
    pub(crate) event_type: String,
    pub(crate) attempts: u32,
    subject: Option<String>,
    data: Value,
    traceparent: Option<String>,
    created_at: DateTime<Utc>,
}

/// An event that the broker did not take.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) id: i64,
    pub(crate) pause: Duration,
    pub(crate) reason: String,
}

/// What waits in the outbox.
#[derive(Debug)]
pub(crate) struct Lag {
    pub(crate) events: u64,
    pub(crate) oldest: Duration,
}

/// The outbox of one service as its relay uses it.
#[derive(Clone)]
pub(crate) struct Ledger {
    db: Db,
    sql: Arc<Sql>,
}

struct Sql {
    claim: String,
    mark_published: String,
    forget: String,
    back_off: String,
    release: String,
    lag: String,
}

impl Ledger {
    pub(crate) fn new(db: Db) -> Self {
        let sql = Arc::new(Sql::new(db.schema()));
        Self { db, sql }
    }

    /// Takes due events, oldest first. Its transaction is over before anything is sent, so that no row lock
    /// is ever held across the network.
    pub(crate) async fn claim(&self) -> Result<Vec<Claim>, db::Error> {
        let rows = self.db.worker_query(&self.sql.claim, &[]).await?;
        let mut claims = rows.iter().map(Claim::from_row).collect::<Result<Vec<_>, _>>()?;
        // `returning` follows no order.
        claims.sort_unstable_by_key(|claim| claim.id);
        Ok(claims)
    }

    /// Only for events whose own confirm has arrived.
    pub(crate) async fn mark_published(&self, ids: &[i64]) -> Result<(), db::Error> {
        self.update(&self.sql.mark_published, ids).await
    }

    /// Deletes events that may not stay once they were told. Only for those whose own confirm has arrived.
    pub(crate) async fn forget(&self, ids: &[i64]) -> Result<(), db::Error> {
        self.update(&self.sql.forget, ids).await
    }

    /// Gives events back that were neither taken nor refused: the connection broke. That is no fault of theirs
    /// and counts no attempt.
    pub(crate) async fn release(&self, ids: &[i64]) -> Result<(), db::Error> {
        self.update(&self.sql.release, ids).await
    }

    /// Lets refused events wait while all others flow.
    pub(crate) async fn back_off(&self, refused: &[Refusal]) -> Result<(), db::Error> {
        if refused.is_empty() {
            return Ok(());
        }
        let ids: Vec<i64> = refused.iter().map(|r| r.id).collect();
        let pauses: Vec<f64> = refused.iter().map(|r| r.pause.as_secs_f64()).collect();
        let reasons: Vec<&str> = refused.iter().map(|r| r.reason.as_str()).collect();
        self.db
            .worker_query(&self.sql.back_off, &[&ids, &pauses, &reasons])
            .await?;
        Ok(())
    }

    pub(crate) async fn lag(&self) -> Result<Lag, db::Error> {
        let rows = self.db.worker_query(&self.sql.lag, &[]).await?;
        let Some(row) = rows.first() else {
            return Err(db::Error::Row("an aggregate without a row".to_owned()));
        };
        let events: i64 = row.try_get("events")?;
        let oldest_seconds: f64 = row.try_get("oldest_seconds")?;
        Ok(Lag {
            events: events.unsigned_abs(),
            oldest: Duration::try_from_secs_f64(oldest_seconds).unwrap_or_default(),
        })
    }

    async fn update(&self, sql: &str, ids: &[i64]) -> Result<(), db::Error> {
        if !ids.is_empty() {
            self.db.worker_query(sql, &[&ids]).await?;
        }
        Ok(())
    }
}

impl Sql {
    fn new(schema: &str) -> Self {
        Self {
            // The order is that of the index of due events, so that a backlog of a million costs as much as
            // one of ten. `materialized`, because a limit in a subquery may be applied again for every row;
            // an array, because a join would read the whole table once its plan was made on a small one.
            claim: format!(
                "{UNHURRIED}, due as materialized (
                   select id from {schema}.outbox
                   where published_at is null and next_attempt_at <= now()
                     and (claimed_until is null or claimed_until < now())
                   order by next_attempt_at, id limit {ROUND_EVENTS_MAX}
                   for update skip locked)
                 update {schema}.outbox o
                 set claimed_until = now() + interval '{CLAIM_SECONDS} seconds', attempts = o.attempts + 1
                 from unhurried where o.id = any (array(select id from due))
                 returning o.id, o.event_id, o.event_type, o.subject, o.data, o.traceparent, o.created_at,
                   o.attempts"
            ),
            mark_published: format!(
                "{UNHURRIED}
                 update {schema}.outbox o set published_at = now(), claimed_until = null, last_error = null
                 from unhurried where o.id = any($1) and o.published_at is null"
            ),
            forget: format!("{UNHURRIED} delete from {schema}.outbox o using unhurried where o.id = any($1)"),
            back_off: format!(
                "{UNHURRIED}
                 update {schema}.outbox o
                 set claimed_until = null, last_error = r.reason,
                   next_attempt_at = now() + make_interval(secs => r.pause_seconds)
                 from unhurried, unnest($1::bigint[], $2::double precision[], $3::text[])
                   as r(id, pause_seconds, reason)
                 where o.id = r.id and o.published_at is null"
            ),
            release: format!(
                "{UNHURRIED}
                 update {schema}.outbox o set claimed_until = null, attempts = greatest(o.attempts - 1, 0)
                 from unhurried where o.id = any($1) and o.published_at is null"
            ),
            lag: format!(
                "select count(*) as events,
                   coalesce(extract(epoch from now() - min(waiting.created_at)), 0)::double precision
                     as oldest_seconds
                 from (select created_at from {schema}.outbox where published_at is null
                       order by next_attempt_at, id limit {LAG_EVENTS_MAX}) waiting"
            ),
        }
    }
}

impl Claim {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        let attempts: i32 = row.try_get("attempts")?;
        Ok(Self {
            id: row.try_get("id")?,
            event_id: row.try_get("event_id")?,
            event_type: row.try_get("event_type")?,
            attempts: attempts.unsigned_abs(),
            subject: row.try_get("subject")?,
            data: row.try_get("data")?,
            traceparent: row.try_get("traceparent")?,
            created_at: row.try_get("created_at")?,
        })
    }

    /// The envelope as it travels.
    pub(crate) fn encode(&self, service: &str) -> Vec<u8> {
        Event {
            id: self.event_id,
            source: format!("/recoverly/{service}"),
            event_type: self.event_type.clone(),
            subject: self.subject.clone(),
            time: self.created_at,
            dataschema: Some(format!("urn:recoverly:event:{}:1", self.event_type)),
            sequence: Some(self.id.to_string()),
            traceparent: self.traceparent.clone(),
            data: self.data.clone(),
        }
        .encode()
    }
}
