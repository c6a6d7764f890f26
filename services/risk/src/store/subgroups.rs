//! The predictions of a version by groups of clients, as features say that are declared to be subgroups.

use db::Tx;

use super::counts::{VersionId, histogram};
use super::stability::Span;
use crate::domain::metrics::histogram::Histogram;

/// Of fewer clients nothing is told: a measure of a handful points at them.
pub(crate) const CLIENTS_MIN: i64 = 10;

/// A group: those of whom a feature had one value.
pub(crate) struct Group {
    pub(crate) feature_name: String,
    pub(crate) value: String,
    pub(crate) clients: i64,
    pub(crate) histogram: Histogram,
}

/// The groups that are large enough to be told of, by feature and value.
pub(crate) async fn groups(tx: &Tx, of: &VersionId, span: Span) -> Result<Vec<Group>, db::Error> {
    let rows = tx
        .query(
            "with declared as (
                select d.feature ->> 'name' as name
                from risk.model_versions v
                join risk.feature_sets f on f.version = v.feature_set_version
                cross join jsonb_array_elements(f.features) d (feature)
                where v.model_name = $1 and v.version = $2 and (d.feature -> 'subgroup')::boolean)
             select d.name, coalesce(s.features ->> d.name, 'missing') as value, count(distinct p.user_id) as clients,
                coalesce(array_agg(m.micros) filter (where not p.label), '{}') as negatives,
                coalesce(array_agg(m.micros) filter (where p.label), '{}') as positives,
                coalesce(array_agg(m.micros) filter (where p.label is null), '{}') as unlabelled
             from risk.model_predictions p
             join risk.feature_snapshots s on s.snapshot_id = p.snapshot_id
             cross join declared d
             cross join lateral (select round(p.probability * 1000000)::int4 as micros) m
             where p.model_name = $1 and p.model_version = $2 and p.predicted_at >= $3 and p.predicted_at < $4
             group by 1, 2
             having count(distinct p.user_id) >= $5
             order by 1, 2",
            &[&of.model_name, &of.version, &span.from, &span.until, &CLIENTS_MIN],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Group {
                feature_name: row.try_get("name")?,
                value: row.try_get("value")?,
                clients: row.try_get("clients")?,
                histogram: histogram(row)?,
            })
        })
        .collect()
}
