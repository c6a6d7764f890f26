//! Measuring a model version over a window: what its predictions were worth, whom it would have paged and how early, and
//! whether its clients are still those that it learned from.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{Datelike, Days, NaiveDate, NaiveTime, TimeDelta};
use common::Probability;
use db::Tx;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use crate::counted::Counted;
use crate::domain::metrics::bootstrap::{self, Intervals, Labelled, Plan};
use crate::domain::metrics::histogram::Histogram;
use crate::domain::metrics::stability::{self, Numbers};
use crate::domain::metrics::subgroups::gap;
use crate::domain::metrics::{Metric, Metrics, Undefined};
use crate::domain::replay::{self, Course, Rules};
use crate::error::Error;
use crate::store::counts::{self, VersionId, Window};
use crate::store::courses;
use crate::store::model_metrics::Measured;
use crate::store::model_versions::Version;
use crate::store::stability::{Binned, Span, binned};
use crate::store::subgroups::{Group, groups};

/// Without a reference window of its own a version is held against its first days, so many.
const REFERENCE_DAYS: i64 = 30;
/// Predictions whose pages are counted; of more none are told.
const MAX_READINGS: usize = 1_000_000;
/// Labelled predictions that intervals are drawn from; of more there are none.
const MAX_LABELLED: usize = 200_000;
/// How long an episode is taken to be open: a client is paged once for it.
pub(crate) const EPISODE: TimeDelta = TimeDelta::days(7);

/// A version to be measured.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) id: VersionId,
    /// From here on a prediction is VERY_HIGH.
    pub(crate) alert: Probability,
    /// Its own reference window.
    pub(crate) reference: Option<Span>,
}

impl From<Version> for Subject {
    fn from(version: Version) -> Self {
        let reference = version.reference.map(|(from, until)| Span { from, until });
        Self {
            alert: version.thresholds.very_high(),
            id: VersionId {
                model_name: version.model_name,
                version: version.version,
            },
            reference,
        }
    }
}

/// The days of a window that ends with this one.
pub(crate) fn window(days: u16, last: NaiveDate) -> Window {
    let first = last - Days::new(u64::from(days.saturating_sub(1)));
    Window { first, last }
}

/// From the first moment of a window to the first after it.
pub(crate) fn span(window: Window) -> Span {
    let midnight = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc();
    Span {
        from: midnight(window.first),
        until: midnight(window.last + Days::new(1)),
    }
}

/// Measures a window.
///
/// # Errors
/// The database's.
pub(crate) async fn measure(
    tx: &Tx,
    counted: &Counted,
    subject: &Subject,
    window: Window,
) -> Result<Measured, Error> {
    let histogram = counted.window(tx, &subject.id, window).await?;
    let drift = Drift::read(tx, counted, subject, window).await?;
    let past = Past::read(tx, &subject.id, window, MAX_READINGS).await?;
    let groups = groups(tx, &subject.id, span(window)).await?;
    let sample = courses::labelled(tx, &subject.id, span(window), most(MAX_LABELLED)).await?;
    let sample: Vec<Labelled<String>> = sample.into_iter().map(Labelled::from).collect();
    let (alert, last) = (subject.alert, window.last);
    let computed = spawn_blocking(move || {
        let metrics = Metrics::of(&histogram, alert);
        let drift = drift.map(|drift| drift.indices(&histogram));
        let measured = of_metrics(window, &metrics);
        let measured = past
            .into_iter()
            .fold(measured, |row, past| past.measure(alert, row));
        let measured = drift
            .into_iter()
            .fold(measured, |row, (n_reference, score, features)| Measured {
                n_reference,
                psi_score: score,
                psi_features: features,
                ..row
            });
        Measured {
            subgroups: of_groups(&groups, alert),
            ..with_intervals(measured, sample, alert, last)
        }
    });
    Ok(computed.await?)
}

/// The longest list that is read, in the database's words: one more, so that too many show.
pub(crate) fn most(limit: usize) -> i64 {
    i64::try_from(limit + 1).unwrap_or(i64::MAX)
}

/// A count as the database has it.
fn count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn of_metrics(window: Window, metrics: &Metrics) -> Measured {
    let measures = &metrics.measures;
    Measured {
        window_days: i16::try_from((window.last - window.first).num_days() + 1).unwrap_or(i16::MAX),
        window_end: window.last,
        n: count(metrics.predictions),
        n_labelled: count(metrics.labelled),
        n_positive: count(metrics.positives),
        brier: measures.brier.ok(),
        log_loss: measures.log_loss.ok(),
        ece: measures.calibration_error.ok(),
        auroc: measures.auroc.ok(),
        auprc: measures.average_precision.ok(),
        precision_at_alert: measures.precision.ok(),
        horizon_days: 1,
        psi_features: json!({}),
        subgroups: json!([]),
        intervals: json!({}),
        ..Measured::default()
    }
}

/// How far the window's clients are from those of the reference window.
struct Drift {
    before: Arc<Histogram>,
    features: BTreeMap<String, Binned>,
}

impl Drift {
    /// `None` where the version has not said anything yet.
    async fn read(
        tx: &Tx,
        counted: &Counted,
        subject: &Subject,
        window: Window,
    ) -> Result<Option<Self>, db::Error> {
        let of = &subject.id;
        let reference = match subject.reference {
            Some(reference) => Some(reference),
            None => counts::first_prediction(tx, of).await?.map(|first| Span {
                from: first,
                until: first + TimeDelta::days(REFERENCE_DAYS),
            }),
        };
        let Some(reference) = reference else {
            return Ok(None);
        };
        let days = Window {
            first: reference.from.date_naive(),
            last: (reference.until - TimeDelta::microseconds(1)).date_naive(),
        };
        Ok(Some(Self {
            before: counted.window(tx, of, days).await?,
            features: binned(tx, of, span(days), span(window)).await?,
        }))
    }

    /// How many predictions it is held against, the index of the score, and that of each feature or why there is none.
    fn indices(&self, now: &Histogram) -> (i64, Option<f64>, Value) {
        let before = self.before.buckets().iter().map(|bucket| bucket.counts.total());
        let score = stability::of_numbers(&Numbers::of_scores(&self.before), &Numbers::of_scores(now));
        let features = self.features.iter().map(|(name, bins)| {
            let index = stability::of_categories(&bins.reference, &bins.current);
            (name.clone(), shown(index))
        });
        (count(before.sum()), score.ok(), features.collect())
    }
}

/// A number, or why there is none, as it is kept.
fn shown(measured: Result<f64, Undefined>) -> Value {
    match measured {
        Ok(value) => json!({ "value": value }),
        Err(reason) => json!({"value": null, "reason": reason.as_str()}),
    }
}

/// What a version said, client by client, and what came of them.
pub(crate) struct Past {
    pub(crate) courses: Vec<Course>,
    pub(crate) rules: Rules,
}

impl Past {
    /// `None` where there were more predictions than that.
    pub(crate) async fn read(
        tx: &Tx,
        of: &VersionId,
        window: Window,
        max_readings: usize,
    ) -> Result<Option<Self>, db::Error> {
        let now = span(window);
        let horizon = courses::horizon(tx, of, now).await?;
        let from = now.from - horizon.length();
        let courses = courses::all(tx, of, (from, now), most(max_readings)).await?;
        let readings: usize = courses.iter().map(|course| course.readings.len()).sum();
        let rules = Rules {
            window: replay::Window::days(window.first, window.last),
            horizon,
            episode: EPISODE,
        };
        Ok((readings <= max_readings).then_some(Self { courses, rules }))
    }

    fn measure(&self, alert: Probability, row: Measured) -> Measured {
        let replay = replay::replay(&self.courses, alert, self.rules);
        Measured {
            lead_time_days: replay.lead_days.map(|lead| lead.median),
            pages_per_week: Some(replay.pages_per_week),
            horizon_days: self.rules.horizon.days(),
            ..row
        }
    }
}

/// The groups of each feature, and for each measure the gap between those at both ends.
fn of_groups(groups: &[Group], alert: Probability) -> Value {
    let mut features: BTreeMap<&str, BTreeMap<String, (i64, Metrics)>> = BTreeMap::new();
    for group in groups {
        let metrics = Metrics::of(&group.histogram, alert);
        let feature = features.entry(&group.feature_name).or_default();
        feature.insert(group.value.clone(), (group.clients, metrics));
    }
    let feature = |(name, groups): (&str, BTreeMap<String, (i64, Metrics)>)| {
        let metrics = groups
            .iter()
            .map(|(value, (_, metrics))| (value.clone(), *metrics))
            .collect();
        let gaps: serde_json::Map<String, Value> = Metric::ALL
            .into_iter()
            .filter_map(|metric| {
                let gap = gap(&metrics, metric).ok()?;
                let shown = json!({"gap": gap.size(), "lowest": gap.lowest.0, "highest": gap.highest.0});
                Some((metric.as_str().to_owned(), shown))
            })
            .collect();
        json!({"feature": name, "groups": groups.iter().map(of_group).collect::<Vec<_>>(), "gaps": gaps})
    };
    features.into_iter().map(feature).collect()
}

fn of_group((value, (clients, metrics)): (&String, &(i64, Metrics))) -> Value {
    let measures: serde_json::Map<String, Value> = Metric::ALL
        .into_iter()
        .map(|metric| (metric.as_str().to_owned(), shown(metrics.measures.get(metric))))
        .collect();
    json!({"value": value, "clients": clients, "n": metrics.predictions, "n_labelled": metrics.labelled,
        "measures": measures})
}

/// Adds how sure the measures are. The seed is the day, so that a measurement can be repeated.
fn with_intervals(
    row: Measured,
    sample: Vec<Labelled<String>>,
    alert: Probability,
    last: NaiveDate,
) -> Measured {
    let seed = i64::from(last.num_days_from_ce());
    let plan = Plan::for_predictions(sample.len(), seed.unsigned_abs());
    let Some(plan) = plan.filter(|_| sample.len() <= MAX_LABELLED) else {
        return row;
    };
    let Ok(found) = bootstrap::intervals(sample, alert, plan) else {
        return row;
    };
    Measured {
        intervals: of_intervals(&found),
        bootstrap_seed: Some(seed),
        ..row
    }
}

/// The ends of each interval, or why there is none.
pub(crate) fn of_intervals(found: &Intervals) -> Value {
    let interval = |(metric, interval): &(Metric, Result<bootstrap::Interval, Undefined>)| {
        let shown = match interval {
            Ok(found) => json!({"estimate": found.estimate, "low": found.low, "high": found.high}),
            Err(reason) => json!({"reason": reason.as_str()}),
        };
        (metric.as_str().to_owned(), shown)
    };
    found.iter().map(interval).collect()
}
