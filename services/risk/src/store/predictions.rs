//! `risk.model_predictions`.

use chrono::{DateTime, Utc};
use common::{ModelRiskLevel, ModelStage, Probability};
use db::{Json, Row, ToSql, Tx};
use serde_json::Value;

use super::{probability, word};

/// What stands under one natural key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key<'a> {
    pub(crate) snapshot_id: i64,
    pub(crate) model_name: &'a str,
    pub(crate) model_version: &'a str,
}

/// A prediction to be.
#[derive(Clone, Debug)]
pub(crate) struct New<'a> {
    pub(crate) key: Key<'a>,
    pub(crate) user_id: &'a str,
    pub(crate) predicted_at: DateTime<Utc>,
    pub(crate) horizon_days: i16,
    pub(crate) probability: Probability,
    pub(crate) risk_level: ModelRiskLevel,
    /// From where on the version says very high.
    pub(crate) threshold: Probability,
    pub(crate) stage: ModelStage,
    pub(crate) metadata: Option<&'a Value>,
}

/// Predictions side by side, as the statements take them.
#[derive(Default)]
struct Columns<'a> {
    snapshots: Vec<i64>,
    models: Vec<&'a str>,
    versions: Vec<&'a str>,
    users: Vec<&'a str>,
    predicted: Vec<DateTime<Utc>>,
    horizons: Vec<i16>,
    probabilities: Vec<f64>,
    levels: Vec<&'static str>,
    thresholds: Vec<f64>,
    stages: Vec<&'static str>,
    metadata: Vec<Option<Json<&'a Value>>>,
}

impl<'a> Columns<'a> {
    fn of(predictions: &[&New<'a>]) -> Self {
        let mut columns = Self::default();
        for new in predictions {
            columns.snapshots.push(new.key.snapshot_id);
            columns.models.push(new.key.model_name);
            columns.versions.push(new.key.model_version);
            columns.users.push(new.user_id);
            columns.predicted.push(new.predicted_at);
            columns.horizons.push(new.horizon_days);
            columns.probabilities.push(new.probability.as_f64());
            columns.levels.push(new.risk_level.as_str());
            columns.thresholds.push(new.threshold.as_f64());
            columns.stages.push(new.stage.as_str());
            columns.metadata.push(new.metadata.map(Json));
        }
        columns
    }

    fn params(&self) -> [&(dyn ToSql + Sync); 11] {
        [
            &self.snapshots,
            &self.models,
            &self.versions,
            &self.users,
            &self.predicted,
            &self.horizons,
            &self.probabilities,
            &self.levels,
            &self.thresholds,
            &self.stages,
            &self.metadata,
        ]
    }
}

/// A prediction's key, and its id.
pub(crate) struct Stored {
    pub(crate) prediction_id: i64,
    pub(crate) snapshot_id: i64,
    pub(crate) model_name: String,
    pub(crate) model_version: String,
}

/// Stores those that are new, each given once; which they are.
pub(crate) async fn insert(
    tx: &Tx,
    predictions: &[&New<'_>],
    now: Option<DateTime<Utc>>,
) -> Result<Vec<Stored>, db::Error> {
    let sql = "
        insert into risk.model_predictions (user_id, snapshot_id, model_name, model_version, predicted_at, horizon_days,
            probability, risk_level, threshold, stage, metadata, created_at, label_due_at)
        select n.user_id, n.snapshot_id, n.model_name, n.model_version, n.predicted_at, n.horizon_days, n.probability,
            n.risk_level, n.threshold, n.stage, n.metadata, coalesce($12::timestamptz, now()),
            n.predicted_at + n.horizon_days * interval '1 day'
        from unnest($1::int8[], $2::varchar[], $3::varchar[], $4::varchar[], $5::timestamptz[], $6::int2[], $7::float8[],
                $8::varchar[], $9::float8[], $10::varchar[], $11::jsonb[])
            as n (snapshot_id, model_name, model_version, user_id, predicted_at, horizon_days, probability, risk_level,
                threshold, stage, metadata)
        order by n.snapshot_id, n.model_name, n.model_version
        on conflict (snapshot_id, model_name, model_version) do nothing
        returning prediction_id, snapshot_id, model_name, model_version";
    let columns = Columns::of(predictions);
    let mut params = columns.params().to_vec();
    params.push(&now);
    let rows = tx.query(sql, &params).await?;
    rows.iter()
        .map(|row| {
            Ok(Stored {
                prediction_id: row.try_get("prediction_id")?,
                snapshot_id: row.try_get("snapshot_id")?,
                model_name: row.try_get("model_name")?,
                model_version: row.try_get("model_version")?,
            })
        })
        .collect()
}

/// What stands in the place of a prediction that was given, and whether it says the same.
pub(crate) struct Standing {
    /// Which of those that were given, from 0.
    pub(crate) position: usize,
    pub(crate) prediction_id: i64,
    pub(crate) predicted_at: DateTime<Utc>,
    pub(crate) risk_level: ModelRiskLevel,
    pub(crate) threshold: Probability,
    pub(crate) stage: ModelStage,
    /// Besides when it was made, and how it is explained.
    pub(crate) is_same: bool,
}

/// What stands in the places of these.
pub(crate) async fn standing(tx: &Tx, predictions: &[&New<'_>]) -> Result<Vec<Standing>, db::Error> {
    if predictions.is_empty() {
        return Ok(Vec::new());
    }
    let sql = "
        select n.position, p.prediction_id, p.predicted_at, p.risk_level, p.threshold, p.stage,
            (p.user_id, p.horizon_days, p.probability, p.metadata)
                is not distinct from (n.user_id, n.horizon_days, n.probability, n.metadata) as is_same
        from unnest($1::int8[], $2::varchar[], $3::varchar[], $4::varchar[], $5::int2[], $6::float8[], $7::jsonb[])
            with ordinality as n (snapshot_id, model_name, model_version, user_id, horizon_days, probability, metadata,
                position)
        join risk.model_predictions p using (snapshot_id, model_name, model_version)";
    let columns = Columns::of(predictions);
    let params: db::Params<'_> = &[
        &columns.snapshots,
        &columns.models,
        &columns.versions,
        &columns.users,
        &columns.horizons,
        &columns.probabilities,
        &columns.metadata,
    ];
    let rows = tx.query(sql, params).await?;
    rows.iter().map(standing_from_row).collect()
}

fn standing_from_row(row: &Row) -> Result<Standing, db::Error> {
    let position: i64 = row.try_get("position")?;
    Ok(Standing {
        position: usize::try_from(position - 1).map_err(|_| db::Error::Row("position".to_owned()))?,
        prediction_id: row.try_get("prediction_id")?,
        predicted_at: row.try_get("predicted_at")?,
        risk_level: word(row, "risk_level")?,
        threshold: probability(row, "threshold")?,
        stage: word(row, "stage")?,
        is_same: row.try_get("is_same")?,
    })
}

/// A prediction as staff read it.
pub(crate) struct Prediction {
    pub(crate) prediction_id: i64,
    pub(crate) user_id: String,
    pub(crate) snapshot_id: i64,
    pub(crate) model_name: String,
    pub(crate) model_version: String,
    pub(crate) predicted_at: DateTime<Utc>,
    pub(crate) horizon_days: i16,
    pub(crate) probability: f64,
    pub(crate) risk_level: ModelRiskLevel,
    pub(crate) threshold: f64,
    pub(crate) stage: ModelStage,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) label: Option<bool>,
    pub(crate) labelled_at: Option<DateTime<Utc>>,
}

/// A client's predictions, newest first, of one model and version where they are given. `$1` client, `$2` and `$3` the row
/// to go on behind, `$4` limit, `$5` model, `$6` version.
pub(crate) const LIST: &str = "
    select p.prediction_id, p.user_id, p.snapshot_id, p.model_name, p.model_version, p.predicted_at, p.horizon_days,
        p.probability, p.risk_level, p.threshold, p.stage, p.created_at, p.label, p.labelled_at
    from risk.model_predictions p
    where p.user_id = $1 and (p.predicted_at, p.prediction_id) < ($2, $3)
        and ($5::varchar is null or p.model_name = $5) and ($6::varchar is null or p.model_version = $6)
    order by p.predicted_at desc, p.prediction_id desc
    limit $4";

/// A prediction of a client who is seen for more than a crisis, with what it was made of, by which declarations, and what was
/// known before. `$1` its id.
pub(crate) const FIND: &str = "
    select p.prediction_id, p.user_id, p.snapshot_id, p.model_name, p.model_version, p.predicted_at, p.horizon_days,
        p.probability, p.risk_level, p.threshold, p.stage, p.created_at, p.label, p.labelled_at, p.metadata,
        s.captured_at, s.feature_set_version, f.features, b.captured_at as before_at, b.features as features_before
    from risk.model_predictions p
    join risk.feature_snapshots s on s.snapshot_id = p.snapshot_id
    join risk.feature_sets f on f.version = s.feature_set_version
    left join lateral (
        select o.captured_at, o.features
        from risk.feature_snapshots o
        where o.user_id = s.user_id and o.feature_set_version = s.feature_set_version and o.captured_at < s.captured_at
        order by o.captured_at desc, o.snapshot_id desc
        limit 1) as b on true
    where p.prediction_id = $1 and p.user_id <> all (array(select core.crisis_clients()))";

pub(crate) fn from_row(row: &Row) -> Result<Prediction, db::Error> {
    Ok(Prediction {
        prediction_id: row.try_get("prediction_id")?,
        user_id: row.try_get("user_id")?,
        snapshot_id: row.try_get("snapshot_id")?,
        model_name: row.try_get("model_name")?,
        model_version: row.try_get("model_version")?,
        predicted_at: row.try_get("predicted_at")?,
        horizon_days: row.try_get("horizon_days")?,
        probability: row.try_get("probability")?,
        risk_level: word(row, "risk_level")?,
        threshold: row.try_get("threshold")?,
        stage: word(row, "stage")?,
        created_at: row.try_get("created_at")?,
        label: row.try_get("label")?,
        labelled_at: row.try_get("labelled_at")?,
    })
}
