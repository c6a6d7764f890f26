//! Wrong proofs: how often an address may offer a secret that is none, before it is asked to wait.
//!
//! Counted per address, and per address and name: who does not know a program's secret can stop neither that program,
//! which calls from elsewhere, nor its neighbours on the same address by way of one name.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use actix_web::HttpRequest;
use moka::sync::Cache;

use crate::problem::Problem;
use crate::rate::RateLimits;

/// Wrong proofs for one name from one address, within the window.
const MAX_WRONG_PER_NAME: u32 = 10;

/// Wrong proofs from one address, whatever the name, within the window.
const MAX_WRONG_PER_ADDRESS: u32 = 100;

/// How long a wrong proof counts, in seconds, from the first one on.
const WINDOW_SECONDS: u64 = 60;

const TOO_MANY: &str = "Too many secrets from this address were wrong within a minute. Correct the secret, wait, then try \
                        again.";

/// Counters kept at once; the least used go first.
const MAX_COUNTERS: u64 = 100_000;

/// The counters of one application. Cloning is cheap and shares them.
#[derive(Clone)]
pub(crate) struct Guesses(Cache<String, Arc<AtomicU32>>);

impl Guesses {
    pub(crate) fn new() -> Self {
        let window = Duration::from_secs(WINDOW_SECONDS);
        let counters = Cache::builder()
            .max_capacity(MAX_COUNTERS)
            .time_to_live(window)
            .build();
        Self(counters)
    }

    fn counter(&self, name: String) -> Arc<AtomicU32> {
        self.0.get_with(name, Arc::default)
    }
}

/// One try to prove that one is the holder of a name.
#[derive(Debug)]
pub struct Guess {
    counters: Vec<(Arc<AtomicU32>, u32)>,
}

impl Guess {
    /// Whether this request may try at all.
    ///
    /// # Errors
    /// 429 where its address has been wrong too often, for this name or altogether.
    pub fn begin(request: &HttpRequest, name: &str) -> Result<Self, Problem> {
        let (Some(guesses), Some(limits)) = (request.app_data::<Guesses>(), request.app_data::<RateLimits>())
        else {
            return Err(Problem::internal("no Guesses in the application's data"));
        };
        let address = limits
            .address(request)
            .map_or_else(|| "unknown".to_owned(), |address| address.to_string());
        let counters = vec![
            (guesses.counter(format!("{address} {name}")), MAX_WRONG_PER_NAME),
            (guesses.counter(address), MAX_WRONG_PER_ADDRESS),
        ];
        let spent = |(counter, max): &(Arc<AtomicU32>, u32)| counter.load(Ordering::Relaxed) >= *max;
        if counters.iter().any(spent) {
            Err(Problem::too_many(WINDOW_SECONDS, TOO_MANY))
        } else {
            Ok(Self { counters })
        }
    }

    /// Counts it as wrong.
    pub fn was_wrong(self) {
        for (counter, _) in self.counters {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }
}
