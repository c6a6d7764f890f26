//! Measures as they are answered: a number, or null with the reason.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use common::Probability;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::domain::metrics::bootstrap::{Intervals, Plan};
use crate::domain::metrics::reliability::{BINS, Bin};
use crate::domain::metrics::{Measured, Metric, Metrics};
use crate::domain::replay::{Comparison, Moved, Replay};
use crate::store::counts::{VersionId, Window};
use crate::store::model_metrics;

/// Of eight hours each.
const SHIFTS_PER_WEEK: f64 = 21.0;

/// A measure.
#[derive(Serialize, ToSchema)]
struct MeasureView {
    /// Null where it cannot be measured.
    value: Option<f64>,
    /// Why it cannot: no_predictions, no_labels, no_positives, no_negatives, no_alerts.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

impl From<Measured> for MeasureView {
    fn from(measured: Measured) -> Self {
        Self {
            value: measured.ok(),
            reason: measured.err().map(|reason| reason.as_str()),
        }
    }
}

/// The labelled predictions between two scores.
#[derive(Serialize, ToSchema)]
struct BinView {
    from: f64,
    /// Not of the bin, but for the last.
    until: f64,
    n: u64,
    n_positive: u64,
    /// What the model said on average; null of an empty bin.
    mean_score: Option<f64>,
    /// What came; null of an empty bin.
    observed_rate: Option<f64>,
}

impl BinView {
    fn new(index: usize, bin: &Bin) -> Self {
        let edge = |index: usize| index as f64 / BINS as f64;
        Self {
            from: edge(index),
            until: edge(index + 1),
            n: bin.count,
            n_positive: bin.positives,
            mean_score: bin.mean_score(),
            observed_rate: bin.observed_rate(),
        }
    }
}

/// What is measured at night.
#[derive(Serialize, ToSchema)]
struct NightlyView {
    window_end: NaiveDate,
    computed_at: DateTime<Utc>,
    /// Stability index of the score against the reference window; above 0.2 it has drifted.
    psi_score: Option<f64>,
    /// The same by feature: value, or null with the reason.
    #[schema(value_type = Object)]
    psi_features: Value,
    /// Median days from the first alert to the relapse or lapse it foresaw; null where none was.
    lead_time_days: Option<f64>,
    /// Clients a week whose score came to reach the alert threshold: whom it paged, or would have.
    pages_per_week: Option<f64>,
    /// The same for a shift of eight hours.
    pages_per_shift: Option<f64>,
    /// By feature that is declared a subgroup: its groups of ten people and more with their measures, and the gaps between them.
    #[schema(value_type = Vec<Object>)]
    subgroups: Value,
    /// 95 % intervals by measure, by drawing clients anew: estimate, low, high, or the reason why there is none.
    #[schema(value_type = Object)]
    intervals: Value,
    /// Seed of the draws.
    bootstrap_seed: Option<i64>,
}

/// How good a version's predictions of a window were.
#[derive(Serialize, ToSchema)]
pub(super) struct MetricsView {
    model_name: String,
    version: String,
    window_days: i64,
    window_start: NaiveDate,
    window_end: NaiveDate,
    /// Predictions.
    n: u64,
    /// Those whose outcome is settled.
    n_labelled: u64,
    /// Those followed by a relapse or lapse within their horizon.
    n_positive: u64,
    /// Those that reach the alert threshold, labelled or not.
    n_alerts: u64,
    /// labelled_share, prevalence, brier, log_loss (natural logarithm), ece, auroc, auprc, precision_at_alert,
    /// recall_at_alert.
    measures: BTreeMap<&'static str, MeasureView>,
    /// Ten bins of equal width of the labelled predictions.
    reliability: Vec<BinView>,
    /// Null until a window of as many days was measured at night.
    nightly: Option<NightlyView>,
}

impl MetricsView {
    pub(super) fn new(
        of: VersionId,
        window: Window,
        metrics: &Metrics,
        latest: Option<(model_metrics::Measured, DateTime<Utc>)>,
    ) -> Self {
        let measure = |metric: Metric| (metric.as_str(), MeasureView::from(metrics.measures.get(metric)));
        let mut measures: BTreeMap<_, _> = Metric::ALL.into_iter().map(measure).collect();
        measures.insert("labelled_share", metrics.labelled_share.into());
        let bins = metrics.bins.0.iter().enumerate();
        Self {
            model_name: of.model_name,
            version: of.version,
            window_days: days(window),
            window_start: window.first,
            window_end: window.last,
            n: metrics.predictions,
            n_labelled: metrics.labelled,
            n_positive: metrics.positives,
            n_alerts: metrics.alerts,
            measures,
            reliability: bins.map(|(index, bin)| BinView::new(index, bin)).collect(),
            nightly: latest.map(|(found, computed_at)| NightlyView {
                window_end: found.window_end,
                computed_at,
                psi_score: found.psi_score,
                psi_features: found.psi_features,
                lead_time_days: found.lead_time_days,
                pages_per_week: found.pages_per_week,
                pages_per_shift: found.pages_per_week.map(|pages| pages / SHIFTS_PER_WEEK),
                subgroups: found.subgroups,
                intervals: found.intervals,
                bootstrap_seed: found.bootstrap_seed,
            }),
        }
    }
}

fn days(window: Window) -> i64 {
    (window.last - window.first).num_days() + 1
}

/// A difference, the other version's less this one's.
#[derive(Serialize, ToSchema)]
struct DifferenceView {
    value: Option<f64>,
    /// 95 %, by drawing clients anew.
    low: Option<f64>,
    high: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

/// Two versions over the same clients and days.
#[derive(Serialize, ToSchema)]
pub(super) struct ComparisonView {
    model_name: String,
    version: String,
    with: String,
    window_start: NaiveDate,
    window_end: NaiveDate,
    /// Clients' days of which both have a labelled prediction.
    n_pairs: usize,
    resamples: u32,
    seed: u64,
    /// By measure, as in the metrics.
    differences: BTreeMap<&'static str, DifferenceView>,
}

impl ComparisonView {
    pub(super) fn new(
        (of, with): (VersionId, VersionId),
        window: Window,
        (n_pairs, plan, found): &(usize, Plan, Intervals),
    ) -> Self {
        let differences = found.iter().map(|(metric, interval)| {
            let ends = interval.as_ref().ok();
            let difference = DifferenceView {
                value: ends.map(|found| found.estimate),
                low: ends.map(|found| found.low),
                high: ends.map(|found| found.high),
                reason: interval.as_ref().err().map(|reason| reason.as_str()),
            };
            (metric.as_str(), difference)
        });
        Self {
            model_name: of.model_name,
            version: of.version,
            with: with.version,
            window_start: window.first,
            window_end: window.last,
            n_pairs: *n_pairs,
            resamples: plan.resamples(),
            seed: plan.seed(),
            differences: differences.collect(),
        }
    }
}

/// What a threshold did, or would have done.
#[derive(Serialize, ToSchema)]
struct PlayedView {
    threshold: f64,
    pages: u64,
    pages_per_week: f64,
    /// Relapses and lapses in the window.
    relapses: u64,
    /// Of these, those of which the version said anything within its horizon before.
    foreseeable: u64,
    /// Those with an alert within the horizon before.
    caught: u64,
    /// Median days from the first alert; null where nothing was caught.
    lead_days_median: Option<f64>,
}

impl PlayedView {
    fn new(threshold: Probability, played: &Replay) -> Self {
        Self {
            threshold: threshold.as_f64(),
            pages: played.pages,
            pages_per_week: played.pages_per_week,
            relapses: played.relapses,
            foreseeable: played.foreseeable,
            caught: played.caught,
            lead_days_median: played.lead_days.map(|lead| lead.median),
        }
    }
}

/// Relapses whose first alert moved.
#[derive(Serialize, ToSchema)]
struct MovedView {
    relapses: u64,
    /// In the median.
    days: f64,
}

impl From<Moved> for MovedView {
    fn from(moved: Moved) -> Self {
        Self {
            relapses: moved.relapses,
            days: moved.median_days,
        }
    }
}

/// A threshold beside that of today.
#[derive(Serialize, ToSchema)]
pub(super) struct ReplayView {
    model_name: String,
    version: String,
    window_start: NaiveDate,
    window_end: NaiveDate,
    today: PlayedView,
    candidate: PlayedView,
    /// Below zero where the candidate pages less.
    more_pages_per_week: f64,
    newly_caught: u64,
    no_longer_caught: u64,
    /// Of those that both catch.
    earlier: Option<MovedView>,
    later: Option<MovedView>,
    /// The same in a sentence.
    #[schema(example = "40 more pages a week, 3 relapses caught that were missed, 5 caught 2 days earlier")]
    summary: String,
}

impl ReplayView {
    pub(super) fn new(
        of: VersionId,
        window: Window,
        (today, candidate): (Probability, Probability),
        found: &Comparison,
    ) -> Self {
        Self {
            model_name: of.model_name,
            version: of.version,
            window_start: window.first,
            window_end: window.last,
            today: PlayedView::new(today, &found.today),
            candidate: PlayedView::new(candidate, &found.candidate),
            more_pages_per_week: found.more_pages_per_week,
            newly_caught: found.newly_caught,
            no_longer_caught: found.no_longer_caught,
            earlier: found.earlier.map(MovedView::from),
            later: found.later.map(MovedView::from),
            summary: found.summary(),
        }
    }
}
