//! `risk.drift_alerts`, and what they are looked for by.

use chrono::{DateTime, Utc};
use db::{Row, Tx};

/// What is too much, or too little.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Stability index of a score or feature.
    pub(crate) psi: f64,
    /// Calibration error.
    pub(crate) ece: f64,
    /// By how much the share of labelled predictions may fall from one window to the next.
    pub(crate) labelled_share_fall: f64,
    /// Minutes without a prediction of a live version.
    pub(crate) silent_minutes: i32,
    /// Predictions of a window below which nothing is said of it: indices of few are noise.
    pub(crate) predictions_min: i64,
}

/// Outcomes of a month, after which a month without any is told of.
const OUTCOMES_MIN: i64 = 10;

/// Something about a version that is not as it was.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Alert {
    pub(crate) alert_id: i64,
    pub(crate) model_name: String,
    pub(crate) model_version: String,
    /// `feature_drift`, `score_drift`, `calibration`, `labels_missing`, `outcomes_missing` or `silent`.
    pub(crate) kind: String,
    pub(crate) feature_name: Option<String>,
    pub(crate) measure: f64,
    pub(crate) limit: f64,
    pub(crate) opened_at: DateTime<Utc>,
    pub(crate) told_at: DateTime<Utc>,
    pub(crate) closed_at: Option<DateTime<Utc>>,
}

/// The last measurements of a month against the limits, and how long each live version has said nothing. What is found opens
/// an alert, or keeps the one that is open; that is told again after the pause. What is not found any more is closed.
const SETTLE: &str = "
    with clock as (select coalesce($1::timestamptz, now()) as now),
    latest as (
        select distinct on (m.model_name, m.model_version) m.model_name, m.model_version, m.n, m.n_reference, m.psi_score,
            m.psi_features
        from risk.model_metrics m
        join risk.model_versions v on v.model_name = m.model_name and v.version = m.model_version and v.stage <> 'retired'
        where m.window_days = 30
        order by m.model_name, m.model_version, m.window_end desc),
    -- Those of which all labels are settled: before that, who relapsed is known and who did not is not.
    settled as (
        select distinct on (m.model_name, m.model_version) m.model_name, m.model_version, m.window_days, m.window_end, m.n,
            m.n_labelled, m.ece
        from risk.model_metrics m
        join risk.model_versions v on v.model_name = m.model_name and v.version = m.model_version and v.stage <> 'retired'
        where m.window_days = 30
          and m.computed_at >= (m.window_end + 1 + m.horizon_days)::timestamp at time zone 'UTC'
        order by m.model_name, m.model_version, m.window_end desc),
    outcomes as (
        select count(*) filter (where o.reported_at > clock.now - interval '30 days') as latest,
            count(*) filter (where o.reported_at <= clock.now - interval '30 days') as before
        from clock join risk.outcomes o on o.reported_at > clock.now - interval '60 days'),
    found as (
        select l.model_name, l.model_version, 'score_drift' as kind, null as feature_name, l.psi_score as measure, $2 as at
        from latest l where least(l.n, l.n_reference) >= $6 and l.psi_score > $2
        union all
        select l.model_name, l.model_version, 'feature_drift', f.name, (f.found ->> 'value')::float8, $2
        from latest l cross join lateral jsonb_each(l.psi_features) f (name, found)
        where least(l.n, l.n_reference) >= $6 and (f.found ->> 'value')::float8 > $2
        union all
        select l.model_name, l.model_version, 'calibration', null, l.ece, $3
        from settled l where l.n_labelled >= $6 and l.ece > $3
        union all
        select l.model_name, l.model_version, 'labels_missing', null, s.share, s.before - $4
        from settled l
        join risk.model_metrics b on b.model_name = l.model_name and b.model_version = l.model_version
            and b.window_days = l.window_days and b.window_end = l.window_end - l.window_days
        cross join lateral (select l.n_labelled::float8 / nullif(l.n, 0) as share,
            b.n_labelled::float8 / nullif(b.n, 0) as before) s
        where l.n >= $6 and b.n >= $6 and s.share < s.before - $4
        union all
        -- Without outcomes every label becomes a negative, and no measure of labels shows it.
        select v.model_name, v.version, 'outcomes_missing', null, o.latest::float8, 1
        from outcomes o cross join risk.model_versions v
        where v.stage = 'live' and o.latest = 0 and o.before >= $8
        union all
        select v.model_name, v.version, 'silent', null, s.minutes, $5
        from clock cross join risk.model_versions v
        cross join lateral (select extract(epoch from clock.now - greatest(v.stage_since, (
            select max(p.created_at) from (select r.created_at from risk.model_predictions r
                where r.model_name = v.model_name and r.model_version = v.version
                order by r.predicted_at desc limit 100) p)))::float8 / 60 as minutes) s
        where v.stage = 'live' and s.minutes > $5),
    closed as (
        update risk.drift_alerts a set closed_at = greatest(a.opened_at, clock.now)
        from clock
        where a.closed_at is null and not exists (select from found f
            where (f.model_name, f.model_version, f.kind) = (a.model_name, a.model_version, a.kind)
              and f.feature_name is not distinct from a.feature_name))
    insert into risk.drift_alerts as a (model_name, model_version, kind, feature_name, measure, limit_value, opened_at, told_at)
    select f.model_name, f.model_version, f.kind, f.feature_name, f.measure, f.at, clock.now, clock.now
    from clock cross join found f
    order by f.model_name, f.model_version, f.kind, f.feature_name
    on conflict (model_name, model_version, kind, coalesce(feature_name, '')) where closed_at is null
    do update set measure = excluded.measure, limit_value = excluded.limit_value, told_at = excluded.told_at
        where a.told_at <= excluded.told_at - $7 * interval '1 hour'
    returning a.alert_id, a.model_name, a.model_version, a.kind, a.feature_name, a.measure, a.limit_value, a.opened_at,
        a.told_at, a.closed_at";

/// Opens, keeps and closes alerts; returns those that are to be told of: new ones, and after `told_again_hours` the open ones.
pub(crate) async fn settle(
    tx: &Tx,
    limits: &Limits,
    told_again_hours: i32,
    now: Option<DateTime<Utc>>,
) -> Result<Vec<Alert>, db::Error> {
    let params: db::Params<'_> = &[
        &now,
        &limits.psi,
        &limits.ece,
        &limits.labelled_share_fall,
        &f64::from(limits.silent_minutes),
        &limits.predictions_min,
        &f64::from(told_again_hours),
        &OUTCOMES_MIN,
    ];
    tx.query(SETTLE, params).await?.iter().map(from_row).collect()
}

/// Newest first. `$1` whether only open ones; `$2` and `$3` the row to go on behind, `$4` limit.
pub(crate) const LIST: &str = "
    select a.alert_id, a.model_name, a.model_version, a.kind, a.feature_name, a.measure, a.limit_value, a.opened_at,
        a.told_at, a.closed_at
    from risk.drift_alerts a
    where (not $1 or a.closed_at is null) and (a.opened_at, a.alert_id) < ($2, $3)
    order by a.opened_at desc, a.alert_id desc
    limit $4";

pub(crate) fn from_row(row: &Row) -> Result<Alert, db::Error> {
    Ok(Alert {
        alert_id: row.try_get("alert_id")?,
        model_name: row.try_get("model_name")?,
        model_version: row.try_get("model_version")?,
        kind: row.try_get("kind")?,
        feature_name: row.try_get("feature_name")?,
        measure: row.try_get("measure")?,
        limit: row.try_get("limit_value")?,
        opened_at: row.try_get("opened_at")?,
        told_at: row.try_get("told_at")?,
        closed_at: row.try_get("closed_at")?,
    })
}
