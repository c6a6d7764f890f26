//! How the features of a version's predictions are distributed in its reference window and now: counts by bin, from which
//! the domain makes the stability index.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use db::Tx;

use super::counts::VersionId;

/// A span of time, `[from, until)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: DateTime<Utc>,
    pub(crate) until: DateTime<Utc>,
}

/// How often each bin is met; `None` is the bin of missing values.
pub(crate) type Bins = BTreeMap<Option<String>, u64>;

/// A feature in both windows.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Binned {
    pub(crate) reference: Bins,
    pub(crate) current: Bins,
}

/// Bins every feature by its reference: numbers between the tenths of their reference, as
/// `domain::metrics::stability::Quantiles` cuts them; words and truth values each by itself. The cuts are of ranks in whole
/// numbers, which no rounding moves.
const BIN: &str = "
    with predicted as (
        select s.features, p.predicted_at >= $3 and p.predicted_at < $4 as is_reference,
            p.predicted_at >= $5 and p.predicted_at < $6 as is_current
        from risk.model_predictions p
        join risk.feature_snapshots s on s.snapshot_id = p.snapshot_id
        where p.model_name = $1 and p.model_version = $2
          and (p.predicted_at >= $3 and p.predicted_at < $4 or p.predicted_at >= $5 and p.predicted_at < $6)),
    declared as (
        select d.feature ->> 'name' as name, d.feature ->> 'type' in ('number', 'integer') as is_number
        from risk.model_versions v
        join risk.feature_sets f on f.version = v.feature_set_version
        cross join jsonb_array_elements(f.features) d (feature)
        where v.model_name = $1 and v.version = $2),
    valued as materialized (
        select d.name, d.is_number, p.is_reference, p.is_current, p.features ->> d.name as value,
            case when d.is_number then (p.features ->> d.name)::float8 end as number
        from predicted p cross join declared d),
    ranked as (
        select v.name, v.number, row_number() over (partition by v.name order by v.number) as rank,
            count(*) over (partition by v.name) as n
        from valued v where v.is_reference and v.number is not null),
    cuts as (
        select c.name, array_agg(c.number order by c.number) as at,
            array_agg(c.number) filter (where c.times > 1) as alone
        from (select r.name, r.number, count(*) as times
              from generate_series(1, 9) t (tenths)
              join ranked r on r.rank = (r.n * t.tenths + 9) / 10
              group by r.name, r.number) c
        group by c.name)
    select b.name, b.bin, count(*) filter (where b.is_reference) as reference,
        count(*) filter (where b.is_current) as current
    from (select v.name, v.is_reference, v.is_current,
            case when v.number is null then v.value
                when v.number = any (c.alone) then 'at ' || v.number
                else 'above ' || (select count(*) from unnest(c.at) a (cut) where a.cut < v.number) end as bin
          from valued v left join cuts c on c.name = v.name) b
    group by b.name, b.bin";

/// Every declared feature of a version, by name.
pub(crate) async fn binned(
    tx: &Tx,
    of: &VersionId,
    reference: Span,
    current: Span,
) -> Result<BTreeMap<String, Binned>, db::Error> {
    let rows = tx
        .query(
            BIN,
            &[
                &of.model_name,
                &of.version,
                &reference.from,
                &reference.until,
                &current.from,
                &current.until,
            ],
        )
        .await?;
    let mut features: BTreeMap<String, Binned> = BTreeMap::new();
    for row in rows {
        let feature = features.entry(row.try_get("name")?).or_default();
        let bin: Option<String> = row.try_get("bin")?;
        let count = |column: &str| -> Result<u64, db::Error> {
            u64::try_from(row.try_get::<_, i64>(column)?).map_err(|_| db::Error::Row(column.to_owned()))
        };
        feature.reference.insert(bin.clone(), count("reference")?);
        feature.current.insert(bin, count("current")?);
    }
    Ok(features)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use testkit::TestDb;

    use super::*;
    use crate::domain::metrics::stability::{Numbers, of_categories, of_numbers};

    /// A feature's values in turn, with ties, gaps and a value that is several tenths by itself.
    const VALUES: [&str; 4] = [
        "(g * 7) % 13",
        "g % 3 * 2.5",
        "5",
        "case when g % 4 = 0 then null else g / 7.0 end",
    ];

    #[tokio::test]
    async fn what_the_database_bins_has_the_index_of_the_definition() {
        let database = TestDb::new().await;
        for (number, reference) in VALUES.iter().enumerate() {
            for (other, current) in VALUES.iter().enumerate() {
                let name = format!("{number}-{other}");
                database
                    .superuser()
                    .await
                    .run(&planted(&name, reference, current))
                    .await;
                let of = VersionId {
                    model_name: "m".to_owned(),
                    version: name.clone(),
                };
                let tx = database.pools("risk").begin_worker().await.unwrap();
                let span = |from: &str, until: &str| Span {
                    from: from.parse().unwrap(),
                    until: until.parse().unwrap(),
                };
                let reference = span("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z");
                let current = span("2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z");
                let found = binned(&tx, &of, reference, current).await.unwrap();
                let [before, after] = [
                    values(&database, &name, "<").await,
                    values(&database, &name, ">=").await,
                ];
                let bins = found.get("x").unwrap();
                let index = of_categories(&bins.reference, &bins.current).unwrap();
                let expected = of_numbers(&before, &after).unwrap();
                assert!(
                    (index - expected).abs() < 1e-12,
                    "{name}: {index}, not {expected}"
                );
            }
        }
    }

    fn planted(version: &str, reference: &str, current: &str) -> String {
        format!(
            "insert into core.users (user_id, kind, username, display_name) values ('c', 'client', 'c', 'c')
             on conflict do nothing;
             insert into risk.feature_sets (version, features, created_by)
             values ('x', '[{{\"name\": \"x\", \"type\": \"number\"}}]', 'a test') on conflict do nothing;
             insert into risk.model_versions (model_name, version, feature_set_version, stage_by, threshold_moderate,
                threshold_high, threshold_very_high, registered_by)
             values ('m', '{version}', 'x', 'a test', 0.3, 0.5, 0.8, 'a test');
             with given as (
                select timestamptz '2026-01-01 00:00Z' + g * interval '12 hours' as at,
                    case when g < 62 then {reference} else {current} end as x
                from generate_series(0, 117) g),
             snapshots as (
                insert into risk.feature_snapshots (user_id, captured_at, feature_set_version, features, source, features_hash)
                select 'c', g.at, 'x', jsonb_build_object('x', g.x), '{version}', decode(repeat('00', 32), 'hex') from given g
                returning snapshot_id, captured_at)
             insert into risk.model_predictions (user_id, snapshot_id, model_name, model_version, predicted_at, horizon_days,
                probability, risk_level, threshold, stage)
             select 'c', s.snapshot_id, 'm', '{version}', s.captured_at, 7, 0.1, 'LOW', 0.8, 'shadow' from snapshots s"
        )
    }

    async fn values(database: &TestDb, version: &str, side: &str) -> Numbers {
        let sql = format!(
            "select (s.features ->> 'x')::float8 as x from risk.feature_snapshots s
             where s.source = '{version}' and s.captured_at {side} '2026-02-01 00:00Z'"
        );
        let rows = database.query(&sql).await;
        Numbers::new(rows.iter().map(|row| row.get("x"))).unwrap()
    }
}
