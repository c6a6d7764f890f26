//! What a day of a model version's predictions comes to: how often each score was given, by label, and which days changed
//! since it was last counted.

use chrono::{DateTime, NaiveDate, Utc};
use common::Probability;
use db::{Row, Tx};

use crate::domain::metrics::histogram::{Bucket, Histogram, Label};

/// Which version of which model.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct VersionId {
    pub(crate) model_name: String,
    pub(crate) version: String,
}

/// Days in a window, both ends included, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Window {
    pub(crate) first: NaiveDate,
    pub(crate) last: NaiveDate,
}

/// A day, and how often it has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Revision {
    pub(crate) day: NaiveDate,
    pub(crate) revision: i64,
}

/// A day's predictions, as of a revision.
pub(crate) struct Day {
    pub(crate) revision: Revision,
    pub(crate) histogram: Histogram,
}

/// The days of the window that have, or had, predictions, in order.
pub(crate) async fn revisions(tx: &Tx, of: &VersionId, window: Window) -> Result<Vec<Revision>, db::Error> {
    let rows = tx
        .query(
            "select d.day, d.revision from risk.metric_days d
             where d.model_name = $1 and d.model_version = $2 and d.day between $3 and $4
             order by d.day",
            &[&of.model_name, &of.version, &window.first, &window.last],
        )
        .await?;
    rows.iter().map(revision_from_row).collect()
}

fn revision_from_row(row: &Row) -> Result<Revision, db::Error> {
    Ok(Revision {
        day: row.try_get("day")?,
        revision: row.try_get("revision")?,
    })
}

/// Counts these days anew. Revision and predictions are of one statement, and so of one moment; the scores of a day come as
/// one array for each label, which is a fifth of the time of a row each.
pub(crate) async fn days(tx: &Tx, of: &VersionId, days: &[NaiveDate]) -> Result<Vec<Day>, db::Error> {
    let rows = tx
        .query(
            "select d.day, d.revision, c.negatives, c.positives, c.unlabelled
             from risk.metric_days d
             cross join lateral (
                select coalesce(array_agg(p.micros) filter (where not p.label), '{}') as negatives,
                    coalesce(array_agg(p.micros) filter (where p.label), '{}') as positives,
                    coalesce(array_agg(p.micros) filter (where p.label is null), '{}') as unlabelled
                from (select round(m.probability * 1000000)::int4 as micros, m.label
                      from risk.model_predictions m
                      where m.model_name = d.model_name and m.model_version = d.model_version
                        and m.predicted_at >= d.day::timestamp at time zone 'UTC'
                        and m.predicted_at < (d.day + 1)::timestamp at time zone 'UTC') as p) as c
             where d.model_name = $1 and d.model_version = $2 and d.day = any ($3)
             order by d.day",
            &[&of.model_name, &of.version, &days],
        )
        .await?;
    rows.iter().map(day_from_row).collect()
}

fn day_from_row(row: &Row) -> Result<Day, db::Error> {
    Ok(Day {
        revision: revision_from_row(row)?,
        histogram: histogram(row)?,
    })
}

/// From columns that hold the scores of each label, in millionths.
pub(crate) fn histogram(row: &Row) -> Result<Histogram, db::Error> {
    let labels = [
        ("negatives", Label::Negative),
        ("positives", Label::Positive),
        ("unlabelled", Label::Unlabelled),
    ];
    let mut buckets = Vec::new();
    for (column, label) in labels {
        for micros in row.try_get::<_, Vec<i32>>(column)? {
            let score = Probability::from_micros(micros.into());
            let score = score.ok_or_else(|| db::Error::Row(column.to_owned()))?;
            buckets.push(Bucket::one(score, label));
        }
    }
    Ok(Histogram::new(buckets))
}

/// When a version's first prediction was made, which is where its reference window begins unless it has one.
pub(crate) async fn first_prediction(tx: &Tx, of: &VersionId) -> Result<Option<DateTime<Utc>>, db::Error> {
    let row = tx
        .query_one(
            "select min(p.predicted_at) as first from risk.model_predictions p
             where p.model_name = $1 and p.model_version = $2",
            &[&of.model_name, &of.version],
        )
        .await?;
    Ok(row.try_get("first")?)
}
