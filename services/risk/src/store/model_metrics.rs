//! `risk.model_metrics`: what was measured, kept for good.

use chrono::{DateTime, NaiveDate, Utc};
use db::{Json, Row, Tx};
use serde_json::Value;

use super::counts::VersionId;
use super::model_versions::{self, Version};

/// A version over the days before and with `window_end`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Measured {
    pub(crate) window_days: i16,
    pub(crate) window_end: NaiveDate,
    pub(crate) n: i64,
    pub(crate) n_labelled: i64,
    pub(crate) n_positive: i64,
    pub(crate) n_reference: i64,
    /// The farthest that a prediction looked ahead.
    pub(crate) horizon_days: i16,
    pub(crate) brier: Option<f64>,
    pub(crate) log_loss: Option<f64>,
    pub(crate) ece: Option<f64>,
    pub(crate) auroc: Option<f64>,
    pub(crate) auprc: Option<f64>,
    pub(crate) psi_score: Option<f64>,
    pub(crate) psi_features: Value,
    pub(crate) precision_at_alert: Option<f64>,
    pub(crate) lead_time_days: Option<f64>,
    pub(crate) pages_per_week: Option<f64>,
    pub(crate) subgroups: Value,
    pub(crate) intervals: Value,
    pub(crate) bootstrap_seed: Option<i64>,
}

/// A window of a version that is to be measured: how many days, and the last of them.
pub(crate) type Due = (Version, i16, NaiveDate);

/// A window that is over and was not measured yet, or one that was measured before all its labels were settled. Which of
/// several changes from look to look, so that one that cannot be measured holds up no other.
pub(crate) async fn due(
    tx: &Tx,
    windows: &[i16],
    last: NaiveDate,
    now: Option<DateTime<Utc>>,
) -> Result<Option<Due>, db::Error> {
    let row = tx
        .query_opt(
            "with clock as (select coalesce($3::timestamptz, now()) as now), due as (
                select v.model_name, v.version, w.days, $2::date as last
                from risk.model_versions v cross join unnest($1::int2[]) w (days)
                where v.stage <> 'retired'
                  and exists (select from risk.metric_days d
                      where d.model_name = v.model_name and d.model_version = v.version and d.day <= $2)
                  and not exists (select from risk.model_metrics m
                      where m.model_name = v.model_name and m.model_version = v.version and m.window_days = w.days
                        and m.window_end = $2)
                union all
                select m.model_name, m.model_version, m.window_days, m.window_end
                from clock cross join risk.model_metrics m
                cross join lateral (
                    select (m.window_end + 1 + m.horizon_days)::timestamp at time zone 'UTC' as at) settled
                where m.window_days = any ($1) and m.computed_at < settled.at and settled.at <= clock.now
                  and m.window_end >= $2 - 366)
             select v.model_name, v.version, v.feature_set_version, v.stage, v.stage_since, v.stage_by, v.threshold_moderate,
                v.threshold_high, v.threshold_very_high, v.description, v.registered_at, v.registered_by, v.reference_from,
                v.reference_until, v.metadata, d.days, d.last
             from clock cross join due d
             join risk.model_versions v on v.model_name = d.model_name and v.version = d.version
             order by hashtext(concat_ws(' ', d.model_name, d.version, d.days, d.last, clock.now)) limit 1",
            &[&windows, &last, &now],
        )
        .await?;
    let found = row.map(|row| {
        let version = model_versions::from_row(&row)?.version;
        Ok::<_, db::Error>((version, row.try_get("days")?, row.try_get("last")?))
    });
    found.transpose()
}

/// Keeps a measurement in place of an earlier one of the same days.
pub(crate) async fn keep(
    tx: &Tx,
    of: &VersionId,
    found: &Measured,
    now: Option<DateTime<Utc>>,
) -> Result<(), db::Error> {
    tx.execute(
        "insert into risk.model_metrics (model_name, model_version, window_days, window_end, computed_at, n, n_labelled,
            n_positive, brier, log_loss, ece, auroc, auprc, psi_score, psi_features, precision_at_alert, lead_time_days,
            pages_per_week, subgroups, intervals, bootstrap_seed, n_reference, horizon_days)
         values ($1, $2, $3, $4, coalesce($21::timestamptz, now()), $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16,
            $17, $18, $19, $20, $22, $23)
         on conflict (model_name, model_version, window_days, window_end) do update set
            computed_at = excluded.computed_at, n = excluded.n, n_labelled = excluded.n_labelled,
            n_positive = excluded.n_positive, brier = excluded.brier, log_loss = excluded.log_loss, ece = excluded.ece,
            auroc = excluded.auroc, auprc = excluded.auprc, psi_score = excluded.psi_score,
            psi_features = excluded.psi_features, precision_at_alert = excluded.precision_at_alert,
            lead_time_days = excluded.lead_time_days, pages_per_week = excluded.pages_per_week,
            subgroups = excluded.subgroups, intervals = excluded.intervals, bootstrap_seed = excluded.bootstrap_seed,
            n_reference = excluded.n_reference, horizon_days = excluded.horizon_days",
        &[
            &of.model_name,
            &of.version,
            &found.window_days,
            &found.window_end,
            &found.n,
            &found.n_labelled,
            &found.n_positive,
            &found.brier,
            &found.log_loss,
            &found.ece,
            &found.auroc,
            &found.auprc,
            &found.psi_score,
            &Json(&found.psi_features),
            &found.precision_at_alert,
            &found.lead_time_days,
            &found.pages_per_week,
            &Json(&found.subgroups),
            &Json(&found.intervals),
            &found.bootstrap_seed,
            &now,
            &found.n_reference,
            &found.horizon_days,
        ],
    )
    .await?;
    Ok(())
}

/// The latest measurement of a window of so many days that ends by that day, and when it was made.
pub(crate) async fn latest(
    tx: &Tx,
    of: &VersionId,
    (window_days, window_end): (i16, NaiveDate),
) -> Result<Option<(Measured, DateTime<Utc>)>, db::Error> {
    let row = tx
        .query_opt(
            "select m.window_days, m.window_end, m.computed_at, m.n, m.n_labelled, m.n_positive, m.brier, m.log_loss, m.ece,
                m.auroc, m.auprc, m.psi_score, m.psi_features, m.precision_at_alert, m.lead_time_days, m.pages_per_week,
                m.subgroups, m.intervals, m.bootstrap_seed, m.n_reference, m.horizon_days
             from risk.model_metrics m
             where m.model_name = $1 and m.model_version = $2 and m.window_days = $3 and m.window_end <= $4
             order by m.window_end desc limit 1",
            &[&of.model_name, &of.version, &window_days, &window_end],
        )
        .await?;
    row.as_ref().map(from_row).transpose()
}

fn from_row(row: &Row) -> Result<(Measured, DateTime<Utc>), db::Error> {
    let measured = Measured {
        window_days: row.try_get("window_days")?,
        window_end: row.try_get("window_end")?,
        n: row.try_get("n")?,
        n_labelled: row.try_get("n_labelled")?,
        n_positive: row.try_get("n_positive")?,
        n_reference: row.try_get("n_reference")?,
        horizon_days: row.try_get("horizon_days")?,
        brier: row.try_get("brier")?,
        log_loss: row.try_get("log_loss")?,
        ece: row.try_get("ece")?,
        auroc: row.try_get("auroc")?,
        auprc: row.try_get("auprc")?,
        psi_score: row.try_get("psi_score")?,
        psi_features: row.try_get("psi_features")?,
        precision_at_alert: row.try_get("precision_at_alert")?,
        lead_time_days: row.try_get("lead_time_days")?,
        pages_per_week: row.try_get("pages_per_week")?,
        subgroups: row.try_get("subgroups")?,
        intervals: row.try_get("intervals")?,
        bootstrap_seed: row.try_get("bootstrap_seed")?,
    };
    Ok((measured, row.try_get("computed_at")?))
}
