//! What handlers, consumers and jobs share.

use std::sync::Arc;

use service::Clock;
use tokio::sync::Semaphore;

use crate::config::DriftConfig;
use crate::counted::Counted;

/// The ways to the database and the outbox, and the clock.
#[derive(Clone)]
pub(crate) struct State {
    pub(crate) db: db::Db,
    pub(crate) outbox: bus::Outbox,
    pub(crate) clock: Clock,
    /// Batches at work. More than a few only wait for each other's clients, each holding a connection; here they wait
    /// holding nothing, and the request's own time-out bounds the wait.
    pub(crate) batches: Arc<Semaphore>,
    /// Single predictions at work, which wait in the same way.
    pub(crate) singles: Arc<Semaphore>,
    /// Days of predictions that were counted before.
    pub(crate) counted: Counted,
    /// What of a model is told of.
    pub(crate) drift: DriftConfig,
    /// Measures that are made at a time: each keeps a core busy.
    pub(crate) measuring: Arc<Semaphore>,
}

/// How many batches are at work at a time.
pub(crate) const MAX_BATCHES_AT_WORK: usize = 2;

/// How many measures are made at a time, besides those of the night.
pub(crate) const MAX_MEASURING: usize = 2;

/// How many single predictions are at work at a time: less than the worker's connections, which jobs and events need too.
pub(crate) const MAX_SINGLES_AT_WORK: usize = 4;
