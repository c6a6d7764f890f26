//! What handlers share.

use crate::anchor::Anchor;
use crate::domain::seal::SealKey;

/// The ways to the database and the outbox.
#[derive(Clone)]
pub(crate) struct State {
    pub(crate) db: db::Db,
    pub(crate) outbox: bus::Outbox,
    /// Signs the audit's seals.
    pub(crate) seal_key: SealKey,
    /// Their copy outside Postgres.
    pub(crate) anchor: Anchor,
}
