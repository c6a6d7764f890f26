//! `risk.outcomes`: what came of clients, as far as somebody said so.

use chrono::{DateTime, Utc};
use db::{Row, Tx};

/// An outcome as somebody says it.
pub(crate) struct NewOutcome {
    pub(crate) kind: &'static str,
    pub(crate) occurred_at: DateTime<Utc>,
    pub(crate) date_precision: &'static str,
    pub(crate) source: &'static str,
    /// The member of staff who says so; a pipeline is none.
    pub(crate) reported_by: Option<String>,
}

/// An outcome.
pub(crate) struct Outcome {
    pub(crate) outcome_id: i64,
    pub(crate) user_id: String,
    pub(crate) kind: String,
    pub(crate) occurred_at: DateTime<Utc>,
    pub(crate) date_precision: String,
    pub(crate) source: String,
    pub(crate) reported_by: Option<String>,
    pub(crate) reported_at: DateTime<Utc>,
}

pub(crate) fn from_row(row: &Row) -> Result<Outcome, db::Error> {
    Ok(Outcome {
        outcome_id: row.try_get("outcome_id")?,
        user_id: row.try_get("user_id")?,
        kind: row.try_get("kind")?,
        occurred_at: row.try_get("occurred_at")?,
        date_precision: row.try_get("date_precision")?,
        source: row.try_get("source")?,
        reported_by: row.try_get("reported_by")?,
        reported_at: row.try_get("reported_at")?,
    })
}

/// Stores an outcome of a client; `None` where one of the same kind, time and source stands.
pub(crate) async fn insert(
    tx: &Tx,
    user_id: &str,
    new: &NewOutcome,
    now: Option<DateTime<Utc>>,
) -> Result<Option<Outcome>, db::Error> {
    let sql = "
        insert into risk.outcomes as o (user_id, kind, occurred_at, date_precision, source, reported_by, reported_at)
        values ($1, $2, $3, $4, $5, $6, coalesce($7::timestamptz, now()))
        on conflict (user_id, kind, occurred_at, source) do nothing
        returning o.outcome_id, o.user_id, o.kind, o.occurred_at, o.date_precision, o.source, o.reported_by, o.reported_at";
    let NewOutcome {
        kind,
        occurred_at,
        date_precision,
        source,
        reported_by,
    } = new;
    let row = tx
        .query_opt(
            sql,
            &[
                &user_id,
                kind,
                occurred_at,
                date_precision,
                source,
                reported_by,
                &now,
            ],
        )
        .await?;
    row.as_ref().map(from_row).transpose()
}

/// The outcome of this kind, time and source.
pub(crate) async fn find_same(
    tx: &Tx,
    user_id: &str,
    new: &NewOutcome,
) -> Result<Option<Outcome>, db::Error> {
    let sql = "
        select o.outcome_id, o.user_id, o.kind, o.occurred_at, o.date_precision, o.source, o.reported_by, o.reported_at
        from risk.outcomes o
        where o.user_id = $1 and o.kind = $2 and o.occurred_at = $3 and o.source = $4";
    let row = tx
        .query_opt(sql, &[&user_id, &new.kind, &new.occurred_at, &new.source])
        .await?;
    row.as_ref().map(from_row).transpose()
}

/// A client's outcomes, the last to happen first. `$1` the client, `$2` and `$3` the row to go on behind, `$4` limit.
pub(crate) const LIST: &str = "
    select o.outcome_id, o.user_id, o.kind, o.occurred_at, o.date_precision, o.source, o.reported_by, o.reported_at
    from risk.outcomes o
    where o.user_id = $1 and (o.occurred_at, o.outcome_id) < ($2, $3)
    order by o.occurred_at desc, o.outcome_id desc
    limit $4";
