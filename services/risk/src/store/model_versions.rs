//! `risk.model_versions`.

use chrono::{DateTime, Utc};
use common::ModelStage;
use db::{Json, Row, Tx};
use serde_json::Value;

use super::word;
use crate::domain::level::Thresholds;

/// What a version is registered as, and never changed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Version {
    pub(crate) model_name: String,
    pub(crate) version: String,
    pub(crate) feature_set_version: String,
    pub(crate) thresholds: Thresholds,
    pub(crate) description: Option<String>,
    /// The window that drift is measured against.
    pub(crate) reference: Option<(DateTime<Utc>, DateTime<Utc>)>,
    pub(crate) metadata: Value,
}

/// A version with its history.
pub(crate) struct Stored {
    pub(crate) version: Version,
    pub(crate) stage: ModelStage,
    pub(crate) stage_since: DateTime<Utc>,
    pub(crate) stage_by: String,
    pub(crate) registered_at: DateTime<Utc>,
    pub(crate) registered_by: String,
}

/// In the order of names and versions. `$1` and `$2` the one to go on behind, `$3` limit.
pub(crate) const LIST: &str = "
    select v.model_name, v.version, v.feature_set_version, v.stage, v.stage_since, v.stage_by, v.threshold_moderate,
        v.threshold_high, v.threshold_very_high, v.description, v.registered_at, v.registered_by, v.reference_from,
        v.reference_until, v.metadata
    from risk.model_versions v
    where (v.model_name, v.version) > ($1, $2)
    order by v.model_name, v.version
    limit $3";

/// One. `$1` model, `$2` version.
pub(crate) const FIND: &str = "
    select v.model_name, v.version, v.feature_set_version, v.stage, v.stage_since, v.stage_by, v.threshold_moderate,
        v.threshold_high, v.threshold_very_high, v.description, v.registered_at, v.registered_by, v.reference_from,
        v.reference_until, v.metadata
    from risk.model_versions v
    where v.model_name = $1 and v.version = $2";

/// Versions that predictions are of, with the features they read. `$1` models, `$2` versions, side by side.
pub(crate) const OF_PREDICTIONS: &str = "
    select v.model_name, v.version, v.stage, v.threshold_moderate, v.threshold_high, v.threshold_very_high,
        v.feature_set_version, f.features
    from unnest($1::varchar[], $2::varchar[]) as n (model_name, version)
    join risk.model_versions v using (model_name, version)
    join risk.feature_sets f on f.version = v.feature_set_version";

pub(crate) async fn find(tx: &Tx, model_name: &str, version: &str) -> Result<Option<Stored>, db::Error> {
    let row = tx.query_opt(FIND, &[&model_name, &version]).await?;
    row.as_ref().map(from_row).transpose()
}

pub(crate) fn from_row(row: &Row) -> Result<Stored, db::Error> {
    let from: Option<DateTime<Utc>> = row.try_get("reference_from")?;
    let until: Option<DateTime<Utc>> = row.try_get("reference_until")?;
    Ok(Stored {
        version: Version {
            model_name: row.try_get("model_name")?,
            version: row.try_get("version")?,
            feature_set_version: row.try_get("feature_set_version")?,
            thresholds: thresholds(row)?,
            description: row.try_get("description")?,
            reference: from.zip(until),
            metadata: row.try_get("metadata")?,
        },
        stage: word(row, "stage")?,
        stage_since: row.try_get("stage_since")?,
        stage_by: row.try_get("stage_by")?,
        registered_at: row.try_get("registered_at")?,
        registered_by: row.try_get("registered_by")?,
    })
}

/// The thresholds of a row that holds a version's.
pub(crate) fn thresholds(row: &Row) -> Result<Thresholds, db::Error> {
    Thresholds::new(
        row.try_get("threshold_moderate")?,
        row.try_get("threshold_high")?,
        row.try_get("threshold_very_high")?,
    )
    .map_err(|refused| db::Error::Row(format!("thresholds: {refused:?}")))
}

/// Registers a version as a shadow; whether it is new. One that stands is never changed.
pub(crate) async fn insert(
    tx: &Tx,
    new: &Version,
    registered_by: &str,
    now: Option<DateTime<Utc>>,
) -> Result<bool, db::Error> {
    let sql = "
        insert into risk.model_versions (model_name, version, feature_set_version, stage_by, threshold_moderate,
            threshold_high, threshold_very_high, description, registered_by, reference_from, reference_until, metadata,
            stage_since, registered_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $4, $9, $10, $11, coalesce($12::timestamptz, now()),
            coalesce($12::timestamptz, now()))
        on conflict (model_name, version) do nothing";
    let [moderate, high, very_high] = new.thresholds.values().map(|threshold| threshold.as_f64());
    let (from, until) = new.reference.unzip();
    let stored = tx
        .execute(
            sql,
            &[
                &new.model_name,
                &new.version,
                &new.feature_set_version,
                &registered_by,
                &moderate,
                &high,
                &very_high,
                &new.description,
                &from,
                &until,
                &Json(&new.metadata),
                &now,
            ],
        )
        .await?;
    Ok(stored == 1)
}

/// Locks all versions of a model, so that those who move some do so one after the other; tells which is live. Predictions that
/// are being stored refer to a version and are not waited for: they come all the time.
pub(crate) async fn lock(tx: &Tx, model_name: &str) -> Result<Option<String>, db::Error> {
    let sql =
        "select v.version, v.stage from risk.model_versions v where v.model_name = $1 order by v.version
        for no key update";
    for row in tx.query(sql, &[&model_name]).await? {
        if word::<ModelStage>(&row, "stage")? == ModelStage::Live {
            return Ok(Some(row.try_get("version")?));
        }
    }
    Ok(None)
}

/// A version's new stage, and who put it there.
pub(crate) struct Move<'a> {
    pub(crate) model_name: &'a str,
    pub(crate) version: &'a str,
    pub(crate) stage: ModelStage,
    pub(crate) by: &'a str,
}

/// Moves a version of a locked model.
pub(crate) async fn put_into(tx: &Tx, moved: &Move<'_>, now: Option<DateTime<Utc>>) -> Result<(), db::Error> {
    let sql = "update risk.model_versions v
        set stage = $3, stage_by = $4, stage_since = coalesce($5::timestamptz, now())
        where v.model_name = $1 and v.version = $2";
    let stage = moved.stage.as_str();
    tx.execute(sql, &[&moved.model_name, &moved.version, &stage, &moved.by, &now])
        .await?;
    Ok(())
}
