//! Clerk's public keys: fetched when a token names one that is not known, or when they are old, and by one request at a
//! time on behalf of all that wait.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

/// Keys are fetched again after so long, in seconds.
const FRESH_SECONDS: u64 = 3_600;
/// While they cannot be fetched, known keys serve on for so long, in seconds.
const STALE_SECONDS: u64 = 24 * 3_600;
/// How long one fetch may take, in seconds.
const FETCH_SECONDS: u64 = 3;
/// The largest key set, in bytes.
const MAX_KEYS_BYTES: usize = 256 * 1024;
/// Keys of one set; Clerk has two while it rotates.
const MAX_KEYS: usize = 32;

/// The keys are not known, and cannot be fetched now.
#[derive(Debug)]
pub(crate) struct Away;

type KeySet = HashMap<String, DecodingKey>;
type Fetch = Shared<BoxFuture<'static, ()>>;

/// The published keys, by their id.
pub(super) struct Keys(Arc<Inner>);

struct Inner {
    http: reqwest::Client,
    url: Url,
    pause: Duration,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    keys: KeySet,
    fetched_at: Option<Instant>,
    tried_at: Option<Instant>,
    fetch: Option<Fetch>,
}

impl Held {
    fn known(&self, key_id: &str, within_seconds: u64) -> Option<DecodingKey> {
        self.is_younger(within_seconds)
            .then(|| self.keys.get(key_id).cloned())
            .flatten()
    }

    fn is_younger(&self, seconds: u64) -> bool {
        self.fetched_at
            .is_some_and(|at| at.elapsed() < Duration::from_secs(seconds))
    }
}

impl Keys {
    pub(super) fn new(url: Url, pause: Duration) -> Self {
        // A client that cannot be made, for want of any root certificate, could fetch nothing either.
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(FETCH_SECONDS))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap_or_default();
        Self(Arc::new(Inner {
            http,
            url,
            pause,
            held: Mutex::default(),
        }))
    }

    /// The key of an id; `None` where Clerk has none of it.
    pub(super) async fn find(&self, key_id: &str) -> Result<Option<DecodingKey>, Away> {
        if let Some(key) = self.0.held().known(key_id, FRESH_SECONDS) {
            return Ok(Some(key));
        }
        if let Some(fetch) = self.fetch_where_due() {
            fetch.await;
        }
        let held = self.0.held();
        if held.is_younger(STALE_SECONDS) {
            Ok(held.known(key_id, STALE_SECONDS))
        } else {
            Err(Away)
        }
    }

    /// The fetch under way, or a new one unless the last one was a moment ago.
    fn fetch_where_due(&self) -> Option<Fetch> {
        let mut held = self.0.held();
        if held.fetch.is_none() && held.tried_at.is_none_or(|at| at.elapsed() >= self.0.pause) {
            held.tried_at = Some(Instant::now());
            held.fetch = Some(Arc::clone(&self.0).refresh().boxed().shared());
        }
        held.fetch.clone()
    }
}

impl Inner {
    /// A panic while it was held cannot leave it half-changed.
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn refresh(self: Arc<Self>) {
        let fetched = self.fetch().await;
        let mut held = self.held();
        held.fetch = None;
        match fetched {
            Ok(keys) => {
                held.keys = keys;
                held.fetched_at = Some(Instant::now());
            }
            Err(error) => tracing::warn!(error, "cannot fetch the keys of Clerk"),
        }
    }

    async fn fetch(&self) -> Result<KeySet, &'static str> {
        let answer = self.http.get(self.url.clone()).send().await;
        let mut answer = answer
            .and_then(reqwest::Response::error_for_status)
            .map_err(|_| "no answer")?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|_| "the answer broke off")? {
            if body.len() + chunk.len() > MAX_KEYS_BYTES {
                return Err("the answer is too large");
            }
            body.extend_from_slice(&chunk);
        }
        let set: JsonKeys = serde_json::from_slice(&body).map_err(|_| "the answer is no key set")?;
        Ok(set.keys.into_iter().take(MAX_KEYS).filter_map(usable).collect())
    }
}

#[derive(Deserialize)]
struct JsonKeys {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct JsonKey {
    kid: String,
    kty: String,
    n: String,
    e: String,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
}

/// A key for RS256. A set may hold keys for other ends, which are left out and no reason to refuse it.
fn usable(key: Value) -> Option<(String, DecodingKey)> {
    let key: JsonKey = serde_json::from_value(key).ok()?;
    let fits = key.kty == "RSA"
        && key.alg.is_none_or(|alg| alg == "RS256")
        && key.usage.is_none_or(|usage| usage == "sig");
    let decoding = DecodingKey::from_rsa_components(&key.n, &key.e).ok()?;
    fits.then_some((key.kid, decoding))
}
