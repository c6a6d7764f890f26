//! Events that could not be applied: the table `dead_letters`, its list, and redriving.
//!
//! Two ways lead here. The consumer gives an event up after [`crate::Consumer::ATTEMPTS_MAX`] failures, or at once when it
//! cannot be read; and the broker gives up what never came back, such as an event that kills the process.
//! Either way the row holds the body as it came, and why.

pub(crate) mod letters;
pub(crate) mod redrive;

use chrono::{DateTime, Utc};
use db::{Db, Row, Tx};
use uuid::Uuid;

/// The longest page of [`list`], in rows.
pub const PAGE_ROWS_MAX: i64 = 200;

/// A dead letter as operators see it; the body stays in the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Grows with time; the cursor of [`list`].
    pub id: i64,
    /// The service that could not apply it.
    pub consumer: String,
    /// Absent where the envelope could not be read.
    pub event_id: Option<Uuid>,
    /// The routing key.
    pub event_type: Option<String>,
    /// The user it is about, where there is one.
    pub subject: Option<String>,
    /// Why, without event data; at most 1,000 characters.
    pub reason: String,
    /// How often it was tried.
    pub attempts: i32,
    /// When it was given up, UTC.
    pub dead_at: DateTime<Utc>,
    /// When an operator last asked to try again; empty again when that try failed.
    pub redrive_requested_at: Option<DateTime<Utc>>,
    /// When a later try succeeded.
    pub redriven_at: Option<DateTime<Utc>>,
}

/// The answer to [`request_redrive`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redrive {
    /// The consumer tries within about a second.
    Requested,
    /// It was applied before; nothing happens.
    AlreadyRedriven,
    /// There is no such letter.
    NotFound,
}

/// A page of the service's dead letters, newest first. `limit` is held within 1 and [`PAGE_ROWS_MAX`];
/// `before_id` is the last id of the page before.
///
/// # Errors
/// Those of the query.
pub async fn list(db: &Db, limit: i64, before_id: Option<i64>) -> Result<Vec<DeadLetter>, db::Error> {
    let sql = format!(
        "select id, consumer, event_id, event_type, subject, reason, attempts, dead_at,
           redrive_requested_at, redriven_at
         from {}.dead_letters
         where $2::bigint is null or id < $2
         order by id desc limit $1",
        db.schema()
    );
    let limit = limit.clamp(1, PAGE_ROWS_MAX);
    let rows = db.worker_query(&sql, &[&limit, &before_id]).await?;
    rows.iter().map(DeadLetter::from_row).collect()
}

/// Asks the consumer to apply a dead letter of the transaction's schema once more.
///
/// # Errors
/// Those of the update.
pub async fn request_redrive(tx: &Tx, id: i64) -> Result<Redrive, db::Error> {
    let sql = format!(
        "update {}.dead_letters
         set redrive_requested_at = case when redriven_at is null then now() else redrive_requested_at end
         where id = $1
         returning redriven_at is not null as redriven",
        tx.schema()
    );
    Ok(match tx.query_opt(&sql, &[&id]).await? {
        None => Redrive::NotFound,
        Some(row) if row.try_get("redriven")? => Redrive::AlreadyRedriven,
        Some(_) => Redrive::Requested,
    })
}

impl DeadLetter {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            consumer: row.try_get("consumer")?,
            event_id: row.try_get("event_id")?,
            event_type: row.try_get("event_type")?,
            subject: row.try_get("subject")?,
            reason: row.try_get("reason")?,
            attempts: row.try_get("attempts")?,
            dead_at: row.try_get("dead_at")?,
            redrive_requested_at: row.try_get("redrive_requested_at")?,
            redriven_at: row.try_get("redriven_at")?,
        })
    }
}
