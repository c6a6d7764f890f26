//! Days of predictions that were counted before, so that a measure over months reads what changed and nothing else.
//!
//! A day holds as long as its revision stands, which every write of a prediction raises (migration V008): what is added up
//! here is equal to what all rows come to, in every process that keeps some.

use std::sync::Arc;

use chrono::NaiveDate;
use db::Tx;
use moka::sync::Cache;

use crate::domain::metrics::histogram::Histogram;
use crate::store::counts::{self, Revision, VersionId, Window};

/// Buckets that are kept in all, 32 bytes each: a model's year of 10,000 predictions a day takes half of it.
const MAX_BUCKETS: u64 = 2_000_000;
/// Days that are read in one statement, so that none holds a snapshot for long.
const MAX_DAYS_AT_ONCE: usize = 30;

type Key = (VersionId, NaiveDate);

/// Cloning is cheap and shares what is kept.
#[derive(Clone)]
pub(crate) struct Counted(Cache<Key, (i64, Arc<Histogram>)>);

impl Counted {
    pub(crate) fn new() -> Self {
        let weight = |_: &Key, (_, day): &(i64, Arc<Histogram>)| {
            u32::try_from(day.buckets().len()).unwrap_or(u32::MAX).saturating_add(1)
        };
        Self(
            Cache::builder()
                .max_capacity(MAX_BUCKETS)
                .weigher(weight)
                .build(),
        )
    }

    /// The predictions of a window.
    pub(crate) async fn window(&self, tx: &Tx, of: &VersionId, window: Window) -> Result<Histogram, db::Error> {
        let revisions = counts::revisions(tx, of, window).await?;
        let mut found = Vec::with_capacity(revisions.len());
        let mut stale = Vec::new();
        for Revision { day, revision } in revisions {
            match self.0.get(&(of.clone(), day)) {
                Some((known, histogram)) if known == revision => found.push(histogram),
                _ => stale.push(day),
            }
        }
        for days in stale.chunks(MAX_DAYS_AT_ONCE) {
            for day in counts::days(tx, of, days).await? {
                let histogram = Arc::new(day.histogram);
                let Revision { day, revision } = day.revision;
                self.0
                    .insert((of.clone(), day), (revision, Arc::clone(&histogram)));
                found.push(histogram);
            }
        }
        let all = found.iter().flat_map(|day| day.buckets()).copied().collect();
        Ok(Histogram::new(all))
    }
}
