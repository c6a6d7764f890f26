//! `risk.feature_sets`.

use chrono::{DateTime, Utc};
use db::{Json, Row, Tx};

use crate::domain::feature::{Feature, FeatureSet};

/// A feature set with its history.
pub(crate) struct Stored {
    pub(crate) version: String,
    pub(crate) description: Option<String>,
    pub(crate) features: Vec<Feature>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) created_by: String,
}

/// In the order of their versions. `$1` the version to go on behind, `$2` limit.
pub(crate) const LIST: &str = "
    select f.version, f.description, f.features, f.created_at, f.created_by
    from risk.feature_sets f
    where f.version > $1
    order by f.version
    limit $2";

/// One. `$1` the version.
pub(crate) const FIND: &str = "
    select f.version, f.description, f.features, f.created_at, f.created_by
    from risk.feature_sets f
    where f.version = $1";

pub(crate) async fn find(tx: &Tx, version: &str) -> Result<Option<Stored>, db::Error> {
    let row = tx.query_opt(FIND, &[&version]).await?;
    row.as_ref().map(from_row).transpose()
}

pub(crate) fn from_row(row: &Row) -> Result<Stored, db::Error> {
    Ok(Stored {
        version: row.try_get("version")?,
        description: row.try_get("description")?,
        features: features(row)?,
        created_at: row.try_get("created_at")?,
        created_by: row.try_get("created_by")?,
    })
}

/// The declarations of a row that holds some, with their version.
pub(crate) fn set_from_row(row: &Row) -> Result<FeatureSet, db::Error> {
    Ok(FeatureSet::new(
        row.try_get("feature_set_version")?,
        features(row)?,
    ))
}

fn features(row: &Row) -> Result<Vec<Feature>, db::Error> {
    let Json(features): Json<Vec<Feature>> = row.try_get("features")?;
    Ok(features)
}

/// A version to be.
pub(crate) struct New<'a> {
    pub(crate) version: &'a str,
    pub(crate) description: Option<&'a str>,
    pub(crate) features: &'a [Feature],
    pub(crate) created_by: &'a str,
}

/// Stores it; whether it is new. One that stands under this version is never changed.
pub(crate) async fn insert(tx: &Tx, new: &New<'_>, now: Option<DateTime<Utc>>) -> Result<bool, db::Error> {
    let sql = "insert into risk.feature_sets (version, description, features, created_by, created_at)
        values ($1, $2, $3, $4, coalesce($5::timestamptz, now())) on conflict (version) do nothing";
    let features = Json(new.features);
    let stored = tx
        .execute(
            sql,
            &[&new.version, &new.description, &features, &new.created_by, &now],
        )
        .await?;
    Ok(stored == 1)
}
