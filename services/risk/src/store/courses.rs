//! What a version said of each client over time, and what came of them: the past that thresholds are replayed over, and the
//! labelled predictions that intervals and comparisons are drawn from.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use common::Probability;
use db::{Row, Tx};

use super::counts::VersionId;
use super::stability::Span;
use crate::domain::level::Reading;
use crate::domain::metrics::pairing::Dated;
use crate::domain::outcome::Horizon;
use crate::domain::replay::Course;

/// A prediction of a client's course, and how many of them there may be.
const READINGS: &str = "
    select p.user_id, array_agg(p.predicted_at order by p.predicted_at) as at,
        array_agg(round(p.probability * 1000000)::int4 order by p.predicted_at) as micros
    from (select c.user_id, c.predicted_at, c.probability from risk.model_predictions c
          where c.model_name = $1 and c.model_version = $2 and c.predicted_at >= $3 and c.predicted_at < $4
          limit $5) as p
    group by p.user_id";

/// Relapses and lapses of anybody.
const RELAPSES: &str = "
    select o.user_id, array_agg(o.occurred_at order by o.occurred_at) as at
    from risk.outcomes o
    where o.kind in ('relapse', 'lapse') and o.occurred_at >= $1 and o.occurred_at < $2
    group by o.user_id";

/// The farthest that a version looked ahead; a day where it said nothing in that time.
pub(crate) async fn horizon(tx: &Tx, of: &VersionId, span: Span) -> Result<Horizon, db::Error> {
    let row = tx
        .query_one(
            "select coalesce(max(p.horizon_days), 1)::int4 as days from risk.model_predictions p
             where p.model_name = $1 and p.model_version = $2 and p.predicted_at >= $3 and p.predicted_at < $4",
            &[&of.model_name, &of.version, &span.from, &span.until],
        )
        .await?;
    let days = row.try_get("days")?;
    Horizon::new(days).ok_or_else(|| db::Error::Row("horizon_days".to_owned()))
}

/// The courses of all clients whom a version spoke of, or who relapsed, in that time; what it said from `from` on. Of more
/// than `limit` predictions only so many are told.
pub(crate) async fn all(
    tx: &Tx,
    of: &VersionId,
    (from, span): (DateTime<Utc>, Span),
    limit: i64,
) -> Result<Vec<Course>, db::Error> {
    let mut courses: BTreeMap<String, Course> = BTreeMap::new();
    let params: db::Params<'_> = &[&of.model_name, &of.version, &from, &span.until, &limit];
    for row in tx.query(READINGS, params).await? {
        courses.entry(row.try_get("user_id")?).or_default().readings = readings(&row)?;
    }
    for row in tx.query(RELAPSES, &[&span.from, &span.until]).await? {
        courses.entry(row.try_get("user_id")?).or_default().relapses = row.try_get("at")?;
    }
    Ok(courses.into_values().collect())
}

fn readings(row: &Row) -> Result<Vec<Reading>, db::Error> {
    let at: Vec<DateTime<Utc>> = row.try_get("at")?;
    let micros: Vec<i32> = row.try_get("micros")?;
    at.into_iter()
        .zip(micros)
        .map(|(at, micros)| {
            Ok(Reading {
                at,
                score: score(micros)?,
            })
        })
        .collect()
}

fn score(micros: i32) -> Result<Probability, db::Error> {
    Probability::from_micros(micros.into()).ok_or_else(|| db::Error::Row("probability".to_owned()))
}

/// The labelled predictions of a version, by client, at most `limit`.
pub(crate) async fn labelled(
    tx: &Tx,
    of: &VersionId,
    span: Span,
    limit: i64,
) -> Result<Vec<Dated<String>>, db::Error> {
    let rows = tx
        .query(
            "select p.user_id, p.predicted_at, round(p.probability * 1000000)::int4 as micros, p.label
             from risk.model_predictions p
             where p.model_name = $1 and p.model_version = $2 and p.predicted_at >= $3 and p.predicted_at < $4
               and p.label is not null
             limit $5",
            &[&of.model_name, &of.version, &span.from, &span.until, &limit],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Dated {
                client: row.try_get("user_id")?,
                predicted_at: row.try_get("predicted_at")?,
                score: score(row.try_get("micros")?)?,
                positive: row.try_get("label")?,
            })
        })
        .collect()
}
