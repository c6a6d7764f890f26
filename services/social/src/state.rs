//! What handlers, consumers and jobs share.

use service::Clock;

use crate::gather::Gather;

/// The ways to the database and the broker, the clock, and the queue of single predictions.
#[derive(Clone)]
pub(crate) struct State {
    pub(crate) db: db::Db,
    pub(crate) outbox: bus::Outbox,
    pub(crate) clock: Clock,
    pub(crate) gather: Gather,
}
