//! Looking tokens up, and remembering the answers for as long as we would hear of a revocation.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use chrono::Utc;
use db::Db;
use futures::future::{Either, select};
use moka::sync::Cache;
use sha2::{Digest, Sha256};

use super::principal::Principal;
use crate::problem::Problem;

/// Remembered tokens, of all callers together.
const MAX_CACHED_TOKENS: u64 = 10_000;

/// How long a token is remembered, in seconds: the bound on a revocation that is lost on a dead line.
const REMEMBERED_SECONDS: u64 = 30;

/// How long to wait before listening again after the connection was lost, in milliseconds.
const RECONNECT_PAUSE_MILLISECONDS: u64 = 500;

/// Every token of ours begins so, which lets leaked ones be found.
const TOKEN_PREFIX: &str = "rcv_";

/// No token of ours is longer, in bytes.
const MAX_TOKEN_BYTES: usize = 256;

/// Where `core` announces revocations: the hash in hex, or nothing for all.
const CHANNEL: &str = "recoverly_tokens";

/// SHA-256 of a token; the token itself is stored nowhere.
pub(crate) type TokenHash = [u8; 32];

/// The hash of what may be a token of ours.
pub(crate) fn hash(token: &str) -> Option<TokenHash> {
    let plausible = token.len() <= MAX_TOKEN_BYTES && token.starts_with(TOKEN_PREFIX);
    plausible.then(|| Sha256::digest(token.as_bytes()).into())
}

/// The tokens of the programme. Cloning is cheap and shares the memory.
///
/// A token is remembered only while [`Tokens::run`] hears of revocations; until then, and whenever its connection is
/// lost, every request asks Postgres.
#[derive(Clone)]
pub struct Tokens(Arc<Inner>);

struct Inner {
    db: Db,
    remembered: Cache<TokenHash, Arc<Principal>>,
    listening: AtomicBool,
    /// Counts what was heard, so that an answer read before a revocation is not remembered after it.
    heard: AtomicU64,
}

impl Tokens {
    /// Tokens as `core.authenticate` knows them.
    pub fn new(db: Db) -> Self {
        let remembered = Cache::builder()
            .max_capacity(MAX_CACHED_TOKENS)
            .time_to_live(Duration::from_secs(REMEMBERED_SECONDS))
            .build();
        let (listening, heard) = (AtomicBool::new(false), AtomicU64::new(0));
        Self(Arc::new(Inner {
            db,
            remembered,
            listening,
            heard,
        }))
    }

    /// Remembers a token without asking Postgres.
    #[cfg(test)]
    pub(crate) fn remember(&self, token: &str, principal: Principal) {
        self.0.listening.store(true, Ordering::SeqCst);
        let hash = hash(token).unwrap_or_default();
        self.0.remembered.insert(hash, Arc::new(principal));
    }

    /// Listens for revocations until `stop` is done. Until it runs, nothing is remembered.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let listening = std::pin::pin!(self.listen());
        if let Either::Right(_) = select(std::pin::pin!(stop), listening).await {
            tracing::error!("listening for revoked tokens has ended");
        }
        self.0.listening.store(false, Ordering::SeqCst);
        self.forget_all();
    }

    async fn listen(&self) {
        loop {
            match self.0.db.listen(CHANNEL).await {
                Ok(mut revocations) => {
                    // A look-up that began before may have missed a revocation: it finds that something was heard.
                    self.forget_all();
                    self.0.listening.store(true, Ordering::SeqCst);
                    while let Some(payload) = revocations.recv().await {
                        self.forget(&payload);
                    }
                    // What was revoked while nobody listened is unknown, so nothing may be remembered from before.
                    self.0.listening.store(false, Ordering::SeqCst);
                    self.forget_all();
                    tracing::warn!("the connection that tells of revoked tokens was lost");
                }
                Err(error) => tracing::warn!(%error, "cannot listen for revoked tokens"),
            }
            tokio::time::sleep(Duration::from_millis(RECONNECT_PAUSE_MILLISECONDS)).await;
        }
    }

    /// The holder of a token that was looked up a short time ago.
    pub(super) fn remembered(&self, hash: &TokenHash) -> Option<Arc<Principal>> {
        let principal = self.0.remembered.get(hash)?;
        let current = self.0.listening.load(Ordering::SeqCst) && !principal.is_expired(Utc::now());
        current.then_some(principal)
    }

    /// Asks Postgres; `None` for a token that is not valid now, whatever the reason.
    pub(super) async fn authenticate(&self, hash: TokenHash) -> Result<Option<Arc<Principal>>, Problem> {
        let heard_before = self.0.heard.load(Ordering::SeqCst);
        let principal = look_up(&self.0.db, &hash).await?;
        let Some(principal) = principal.map(Arc::new) else {
            return Ok(None);
        };
        if self.0.listening.load(Ordering::SeqCst) {
            self.0.remembered.insert(hash, Arc::clone(&principal));
            // A revocation heard between asking and remembering may have been of this token.
            if self.0.heard.load(Ordering::SeqCst) != heard_before {
                self.0.remembered.invalidate(&hash);
            }
        }
        Ok(Some(principal))
    }

    /// Grows whenever some token may hold no more, for answers that outlast their request; `None` while nothing is heard.
    #[must_use]
    pub fn heard(&self) -> Option<u64> {
        let listening = self.0.listening.load(Ordering::SeqCst);
        listening.then(|| self.0.heard.load(Ordering::SeqCst))
    }

    /// Whose tokens these hashes are, of those that are valid now; all are looked up at once, and none is remembered.
    ///
    /// # Errors
    /// While Postgres is away.
    pub async fn holders(&self, hashes: &[TokenHash]) -> Result<HashMap<TokenHash, Principal>, db::Error> {
        let sql = "select h.hash, a.principal_id, a.kind, a.roles, a.scopes, a.expires_at
            from unnest($1::bytea[]) as h (hash) cross join lateral core.authenticate(h.hash) as a";
        let asked: Vec<&[u8]> = hashes.iter().map(<[u8; 32]>::as_slice).collect();
        let rows = self.0.db.worker_query(sql, &[&asked]).await?;
        rows.iter()
            .map(|row| {
                let hash: &[u8] = row.try_get("hash")?;
                let hash = hash
                    .try_into()
                    .map_err(|_| db::Error::Row("a hash of another length".to_owned()))?;
                Ok((hash, Principal::from_row(row)?))
            })
            .collect()
    }

    fn forget(&self, payload: &str) {
        let mut hash = TokenHash::default();
        if hex::decode_to_slice(payload, &mut hash).is_err() {
            return self.forget_all();
        }
        self.0.heard.fetch_add(1, Ordering::SeqCst);
        self.0.remembered.invalidate(&hash);
    }

    fn forget_all(&self) {
        self.0.heard.fetch_add(1, Ordering::SeqCst);
        self.0.remembered.invalidate_all();
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens")
    }
}

async fn look_up(db: &Db, hash: &TokenHash) -> Result<Option<Principal>, Problem> {
    let sql = "select principal_id, kind, roles, scopes, expires_at from core.authenticate($1)";
    let rows = db.worker_query(sql, &[&hash.as_slice()]).await?;
    Ok(rows.first().map(Principal::from_row).transpose()?)
}
