//! Rate limits: a bucket for each principal, and one for each address that comes without a good token.
//!
//! A live session never pays for what others try from the same address: requests with a good token are charged to the
//! principal alone, requests without one to the address alone.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::X_FORWARDED_FOR;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use moka::sync::Cache;

use crate::auth::{Caller, Holder, Principal};
use crate::problem::Problem;

/// Buckets kept at once; the least used go first.
const MAX_BUCKETS: u64 = 100_000;

/// A bucket that was not touched for so long is full again, in seconds.
const BUCKET_IDLE_SECONDS: u64 = 60;

/// How many requests a second each caller may make, and twice as many at once.
#[derive(Debug, Clone, Copy)]
pub struct RateSettings {
    /// For a client or a member of staff.
    pub person_per_second: NonZeroU32,
    /// For an app, a pipeline or a service, which speak for many.
    pub machine_per_second: NonZeroU32,
    /// For an address, of requests without a good token.
    pub address_per_second: NonZeroU32,
    /// Whether the last hop of `X-Forwarded-For` is believed, because only our gateway can reach us, which wrote it.
    pub behind_gateway: bool,
}

impl Default for RateSettings {
    fn default() -> Self {
        let per_second = |requests| NonZeroU32::new(requests).unwrap_or(NonZeroU32::MIN);
        Self {
            person_per_second: per_second(200),
            machine_per_second: per_second(20_000),
            address_per_second: per_second(200),
            behind_gateway: false,
        }
    }
}

/// The buckets of one application. Cloning is cheap and shares them.
#[derive(Clone)]
pub struct RateLimits {
    settings: RateSettings,
    principals: Cache<(Holder, String), Arc<DefaultDirectRateLimiter>>,
    addresses: Cache<IpAddr, Arc<DefaultDirectRateLimiter>>,
}

impl RateLimits {
    /// Full buckets of these sizes.
    pub fn new(settings: RateSettings) -> Self {
        let idle = Duration::from_secs(BUCKET_IDLE_SECONDS);
        Self {
            settings,
            principals: Cache::builder()
                .max_capacity(MAX_BUCKETS)
                .time_to_idle(idle)
                .build(),
            addresses: Cache::builder()
                .max_capacity(MAX_BUCKETS)
                .time_to_idle(idle)
                .build(),
        }
    }

    pub(crate) fn charge_principal(&self, principal: &Principal) -> Result<(), Problem> {
        let per_second = match principal.holder {
            Holder::Client | Holder::Staff => self.settings.person_per_second,
            Holder::App | Holder::Pipeline | Holder::Service => self.settings.machine_per_second,
        };
        // By kind as well: an account may have the id of a program.
        let key = (principal.holder, principal.id.clone());
        let bucket = self.principals.get_with(key, || bucket(per_second));
        charge(&bucket, || a_second(per_second, "this token's holder"))
    }

    pub(crate) fn charge_address(&self, request: &HttpRequest) -> Result<(), Problem> {
        let Some(address) = self.address(request) else {
            return Ok(());
        };
        let per_second = self.settings.address_per_second;
        let bucket = self.addresses.get_with(address, || bucket(per_second));
        charge(&bucket, || {
            a_second(per_second, "an address without a good token")
        })
    }

    pub(crate) fn address(&self, request: &HttpRequest) -> Option<IpAddr> {
        let peer = request.peer_addr().map(|peer| peer.ip());
        if !self.settings.behind_gateway {
            return peer;
        }
        last_hop(request).or(peer)
    }
}

/// How often each principal may do one thing that nobody needs often, such as looking for a face. Cloning is cheap and
/// shares the buckets.
#[derive(Clone)]
pub struct Pace {
    per_minute: NonZeroU32,
    buckets: Cache<(Holder, String), Arc<DefaultDirectRateLimiter>>,
}

impl Pace {
    /// Full buckets of this size.
    pub fn per_minute(per_minute: NonZeroU32) -> Self {
        Self {
            per_minute,
            buckets: Cache::builder()
                .max_capacity(MAX_BUCKETS)
                .time_to_idle(Duration::from_secs(BUCKET_IDLE_SECONDS))
                .build(),
        }
    }

    /// Takes one from the caller's bucket.
    ///
    /// # Errors
    /// 429 where it is empty.
    pub fn charge(&self, caller: &Caller) -> Result<(), Problem> {
        let key = (caller.principal.holder, caller.principal.id.clone());
        let full = || Arc::new(RateLimiter::direct(Quota::per_minute(self.per_minute)));
        charge(&self.buckets.get_with(key, full), || {
            format!("This may be asked for {} times a minute.", self.per_minute)
        })
    }
}

impl std::fmt::Debug for Pace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pace")
            .field("per_minute", &self.per_minute)
            .finish_non_exhaustive()
    }
}

/// The address that the gateway saw: the last one of the last `X-Forwarded-For`. What stands before it, and `Forwarded`,
/// anybody may have sent.
fn last_hop(request: &HttpRequest) -> Option<IpAddr> {
    let value = request.headers().get_all(X_FORWARDED_FOR).last()?;
    let hop = value.to_str().ok()?.rsplit(',').next()?.trim();
    hop.parse()
        .ok()
        .or_else(|| Some(hop.parse::<SocketAddr>().ok()?.ip()))
}

impl std::fmt::Debug for RateLimits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RateLimits")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

fn bucket(per_second: NonZeroU32) -> Arc<DefaultDirectRateLimiter> {
    let quota = Quota::per_second(per_second)
        .allow_burst(per_second.saturating_mul(NonZeroU32::MIN.saturating_add(1)));
    Arc::new(RateLimiter::direct(quota))
}

fn a_second(per_second: NonZeroU32, who: &str) -> String {
    format!("More than the {per_second} requests a second that {who} may make.")
}

fn charge(bucket: &DefaultDirectRateLimiter, detail: impl Fn() -> String) -> Result<(), Problem> {
    bucket.check().map(|_| ()).map_err(|refused| {
        let wait = refused.wait_time_from(DefaultClock::default().now());
        Problem::too_many(wait.as_secs() + 1, detail())
    })
}
