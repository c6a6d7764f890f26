//! What handlers share.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use seal::Cipher;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

use crate::anchor::Anchor;
use crate::clerk::Clerk;
use crate::config::SearchConfig;
use crate::domain::seal::SealKey;
use crate::hasher::Hasher;
use crate::models::Models;
use crate::queues::Queues;
use crate::resets::Resets;
use crate::short_term::ShortTerm;
use crate::touched::Touched;

/// Exports that are sent at a time: each holds a connection for as long as its reader takes.
pub(crate) const MAX_EXPORTS_AT_WORK: usize = 2;

/// Searches for a face by one member of staff.
pub(crate) const FACE_SEARCHES_PER_MINUTE: NonZeroU32 = NonZeroU32::new(30).unwrap();

/// The ways to the database, the outbox, a password's hash and a person's mail, and the keys.
pub(crate) struct State {
    pub(crate) db: db::Db,
    pub(crate) outbox: bus::Outbox,
    /// Signs the audit's seals.
    pub(crate) seal_key: SealKey,
    /// Their copy outside Postgres.
    pub(crate) anchor: Anchor,
    pub(crate) hasher: Hasher,
    /// Where attempts to show who one is wait for each other.
    pub(crate) queues: Queues,
    pub(crate) resets: Resets,
    /// Seals second factors; without a key nobody can have one.
    pub(crate) cipher: Option<Arc<Cipher>>,
    /// The key under which failed attempts are counted.
    pub(crate) throttle_key: SecretString,
    pub(crate) clerk: Clerk,
    pub(crate) erasures: web::ErasureKey,
    pub(crate) short_term: ShortTerm,
    /// Held by an export for as long as it is sent.
    pub(crate) exports: Arc<Semaphore>,
    /// Whose embeddings are taken.
    pub(crate) models: Models,
    /// Memories that were read or found lately.
    pub(crate) touched: Touched,
    /// How memories are searched.
    pub(crate) search: SearchConfig,
    /// So many task memories of a client are kept.
    pub(crate) task_memories_per_user: i64,
    /// So many days after they were written messages are anonymised.
    pub(crate) message_days: i32,
    /// How long one may take in all.
    pub(crate) max_export: Duration,
    pub(crate) face_searches: web::Pace,
}

impl State {
    /// The key under which failed attempts are counted.
    pub(crate) fn throttle_key(&self) -> &[u8] {
        self.throttle_key.expose_secret().as_bytes()
    }
}
