//! Days of predictions that were counted before, so that a measure over months reads what changed and nothing else.
//!
//! A day holds as long as its revision stands, which every write of a prediction raises (migration V008): what is added up
//! here is equal to what all rows come to, in every process that keeps some.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::NaiveDate;
use db::Tx;
use moka::sync::Cache;

use crate::domain::metrics::histogram::Histogram;
use crate::store::counts::{self, Revision, VersionId, Window};

/// Buckets that are kept in all, 32 bytes each; a window holds its days and their sum.
const MAX_BUCKETS: u64 = 2_000_000;
/// Days that are read in one statement, so that none holds a snapshot for long.
const MAX_DAYS_AT_ONCE: usize = 30;

/// A day's predictions, and as of which revision.
#[derive(Clone)]
struct Day {
    revision: i64,
    histogram: Arc<Histogram>,
}

/// The days of a window and their sum.
#[derive(Clone, Default)]
struct Sum {
    days: BTreeMap<NaiveDate, Day>,
    all: Arc<Histogram>,
}

impl Sum {
    fn weight(&self) -> u32 {
        let days = self.days.values().map(|day| day.histogram.buckets().len());
        let buckets = days.sum::<usize>() + self.all.buckets().len();
        u32::try_from(buckets).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// Puts a day in place of what it was. A few days are exchanged in the sum; of many it is made anew.
    fn with(mut self, changed: Vec<counts::Day>) -> Self {
        let is_new = self.days.is_empty();
        for day in changed {
            let fresh = Day {
                revision: day.revision.revision,
                histogram: Arc::new(day.histogram),
            };
            let before = self.days.insert(day.revision.day, fresh.clone());
            if !is_new {
                let before = before.map_or_else(Arc::default, |before| before.histogram);
                self.all = Arc::new(self.all.exchange(&before, &fresh.histogram));
            }
        }
        if is_new {
            let days = self.days.values().flat_map(|day| day.histogram.buckets());
            self.all = Arc::new(Histogram::new(days.copied().collect()));
        }
        self
    }
}

/// Cloning is cheap and shares what is kept.
#[derive(Clone)]
pub(crate) struct Counted(Cache<(VersionId, Window), Sum>);

impl Counted {
    pub(crate) fn new() -> Self {
        let cache = Cache::builder().max_capacity(MAX_BUCKETS);
        Self(cache.weigher(|_, sum: &Sum| sum.weight()).build())
    }

    /// The predictions of a window.
    pub(crate) async fn window(
        &self,
        tx: &Tx,
        of: &VersionId,
        window: Window,
    ) -> Result<Arc<Histogram>, db::Error> {
        let key = (of.clone(), window);
        let known = self.0.get(&key).unwrap_or_default();
        let is_known = |asked: &Revision| {
            let day = known.days.get(&asked.day);
            day.is_some_and(|day| day.revision == asked.revision)
        };
        let revisions = counts::revisions(tx, of, window).await?;
        let stale: Vec<NaiveDate> = revisions
            .into_iter()
            .filter(|asked| !is_known(asked))
            .map(|asked| asked.day)
            .collect();
        if stale.is_empty() {
            return Ok(known.all);
        }
        let mut changed = Vec::with_capacity(stale.len());
        for days in stale.chunks(MAX_DAYS_AT_ONCE) {
            changed.extend(counts::days(tx, of, days).await?);
        }
        let sum = known.with(changed);
        let all = Arc::clone(&sum.all);
        self.0.insert(key, sum);
        Ok(all)
    }
}
