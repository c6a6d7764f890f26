//! What handlers share.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

use crate::anchor::Anchor;
use crate::cipher::Cipher;
use crate::domain::seal::SealKey;
use crate::hasher::Hasher;
use crate::resets::Resets;

/// The ways to the database, the outbox, a password's hash and a person's mail.
#[derive(Clone)]
pub(crate) struct State {
    pub(crate) db: db::Db,
    pub(crate) outbox: bus::Outbox,
    /// Signs the audit's seals.
    pub(crate) seal_key: SealKey,
    /// Their copy outside Postgres.
    pub(crate) anchor: Anchor,
    pub(crate) hasher: Hasher,
    pub(crate) resets: Resets,
    /// Seals second factors; without a key nobody can have one.
    pub(crate) cipher: Option<Arc<Cipher>>,
    /// The key under which failed attempts are counted.
    pub(crate) throttle_key: SecretString,
}

impl State {
    /// The key under which failed attempts are counted.
    pub(crate) fn throttle_key(&self) -> &[u8] {
        self.throttle_key.expose_secret().as_bytes()
    }
}
