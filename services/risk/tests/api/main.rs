//! What the risk service promises, on a real Postgres.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod leaving;
mod messages;
mod serving;

use testkit::Follower;

/// The service on a database of its own.
async fn started() -> Follower {
    Follower::start("risk", risk_service::start).await
}
