//! Versions and predictions that stand in the database already, as many and as odd as a test needs them.

use chrono::{DateTime, Utc};

use crate::harness::Harness;

/// What a version said of a client.
#[derive(Clone, Debug)]
pub(crate) struct Planted<'a> {
    pub(crate) user_id: &'a str,
    /// Model and version.
    pub(crate) by: (&'a str, &'a str),
    pub(crate) predicted_at: DateTime<Utc>,
    pub(crate) horizon_days: i32,
    pub(crate) probability: f64,
    /// The stage that the version had when it came.
    pub(crate) stage: &'a str,
}

impl Harness {
    /// Plants a version: MODERATE from 0.3 on, HIGH from 0.5, VERY_HIGH from 0.8.
    pub(crate) async fn plant_version(&self, (model, version): (&str, &str), stage: &str) {
        let sql = format!(
            "insert into risk.feature_sets (version, features, created_by) values ('planted', '[{{}}]', 'a test')
             on conflict do nothing;
             insert into risk.model_versions (model_name, version, feature_set_version, stage, stage_since, stage_by,
                threshold_moderate, threshold_high, threshold_very_high, registered_by)
             values ('{model}', '{version}', 'planted', '{stage}', '{now}', 'a test', 0.3, 0.5, 0.8, 'a test')",
            now = self.ago(chrono::TimeDelta::zero()).to_rfc3339(),
        );
        self.database.superuser().await.run(&sql).await;
    }

    /// Moves a version to another stage, as of the clock of the test.
    pub(crate) async fn restage(&self, (model, version): (&str, &str), stage: &str) {
        let sql = format!(
            "update risk.model_versions set stage = '{stage}', stage_since = '{now}'
             where model_name = '{model}' and version = '{version}'",
            now = self.ago(chrono::TimeDelta::zero()).to_rfc3339(),
        );
        self.database.superuser().await.run(&sql).await;
    }

    /// Plants predictions, each of a snapshot of its own; their ids, in the order given.
    pub(crate) async fn plant(&self, given: &[Planted<'_>]) -> Vec<i64> {
        if given.is_empty() {
            return Vec::new();
        }
        let rows: Vec<String> = given
            .iter()
            .enumerate()
            .map(|(n, p)| {
                format!(
                    "({n}, '{}', '{}', '{}', '{}'::timestamptz, {}::int2, {}::float8, '{}')",
                    p.user_id,
                    p.by.0,
                    p.by.1,
                    p.predicted_at.to_rfc3339(),
                    p.horizon_days,
                    p.probability,
                    p.stage
                )
            })
            .collect();
        let sql = format!(
            "with given (n, user_id, model, version, at, days, probability, stage) as (values {}),
             snapshots as (
                insert into risk.feature_snapshots (user_id, captured_at, feature_set_version, features, source, features_hash)
                select g.user_id, g.at, 'planted', '{{}}', gen_random_uuid(), decode(repeat('00', 32), 'hex')
                from given g order by g.n
                returning snapshot_id),
             made as (select s.snapshot_id, row_number() over (order by s.snapshot_id) - 1 as n from snapshots s)
             insert into risk.model_predictions (user_id, snapshot_id, model_name, model_version, predicted_at,
                horizon_days, probability, risk_level, threshold, stage, created_at, label_due_at)
             select g.user_id, m.snapshot_id, g.model, g.version, g.at, g.days, g.probability,
                case when g.probability >= 0.8 then 'VERY_HIGH' when g.probability >= 0.5 then 'HIGH'
                    when g.probability >= 0.3 then 'MODERATE' else 'LOW' end,
                0.8, g.stage, '{now}', g.at + g.days * interval '1 day'
             from given g join made m on m.n = g.n order by g.n
             returning prediction_id",
            rows.join(", "),
            now = self.ago(chrono::TimeDelta::zero()).to_rfc3339(),
        );
        let rows = self.database.superuser().await.query(&sql).await;
        rows.iter().map(|row| row.get("prediction_id")).collect()
    }
}
