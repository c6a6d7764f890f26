//! What the causal service promises, on a real Postgres.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod leaving;
mod predictions;
mod serving;

use testkit::Follower;

/// The service on a database of its own.
async fn started() -> Follower {
    Follower::start("causal", causal_service::start).await
}
