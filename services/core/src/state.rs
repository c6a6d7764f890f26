//! What handlers share.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// Exports that are sent at a time: each holds a connection for as long as its reader takes.
pub(crate) const MAX_EXPORTS_AT_WORK: usize = 2;

/// The ways to the database and the outbox, and the key of the erasures.
#[derive(Clone)]
pub(crate) struct State {
    pub(crate) db: db::Db,
    pub(crate) outbox: bus::Outbox,
    pub(crate) erasures: web::ErasureKey,
    /// Held by an export for as long as it is sent.
    pub(crate) exports: Arc<Semaphore>,
}
