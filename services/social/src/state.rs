//! What handlers, consumers and jobs share.

use std::num::NonZeroU32;
use std::sync::Arc;

use service::Clock;
use tokio::sync::Semaphore;
use web::{Pace, Readiness};

use crate::config::WatchConfig;
use crate::gather::Gather;
use crate::metrics::Metrics;
use crate::paging::Paging;
use crate::streams::Streams;

/// The ways to the database and the broker, the clock, and the queue of single predictions.
#[derive(Clone)]
pub(crate) struct State {
    pub(crate) db: db::Db,
    pub(crate) outbox: bus::Outbox,
    pub(crate) clock: Clock,
    pub(crate) gather: Gather,
    /// Batches at work. More than a few only wait for each other's profile locks, each holding a connection; here they
    /// wait holding nothing, and the request's own time-out bounds the wait.
    pub(crate) batches: Arc<Semaphore>,
    /// Changes of who is on call that are at work.
    pub(crate) rosters: Arc<Semaphore>,
    /// The ways to staff outside the app, where there are any.
    pub(crate) paging: Option<Arc<Paging>>,
    /// How often somebody may name an address, to which mail then goes.
    pub(crate) contact_pace: Pace,
    /// How long after its time an expected contact with a client is missed.
    pub(crate) silence_hours: i32,
    /// Rows that a preview reads at most.
    pub(crate) preview_rows: i32,
    /// What the service watches itself for, and how it shows what it found.
    pub(crate) watch: WatchConfig,
    pub(crate) metrics: Metrics,
    /// Previews of policies, one at a time: each looks at months of everybody.
    pub(crate) previews: Arc<Semaphore>,
    /// Who watches what happens.
    pub(crate) streams: Streams,
    /// Says when the process is about to stop.
    pub(crate) readiness: Readiness,
}

/// How many batches are at work at a time.
pub(crate) const MAX_BATCHES_AT_WORK: usize = 2;

/// How many changes of who is on call are at work at a time.
pub(crate) const MAX_ROSTER_CHANGES: usize = 1;

/// How many previews run at a time.
pub(crate) const MAX_PREVIEWS: usize = 1;

/// Contact methods that somebody may name within a minute.
pub(crate) const CONTACT_METHODS_PER_MINUTE: NonZeroU32 = match NonZeroU32::new(3) {
    Some(rate) => rate,
    None => NonZeroU32::MIN,
};
