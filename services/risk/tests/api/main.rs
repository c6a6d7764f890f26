//! What the risk service promises, on a real Postgres.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod explanations;
mod feature_sets;
mod harness;
mod leaving;
mod levels;
mod messages;
mod metrics;
mod models;
mod outcomes;
mod planted;
mod prediction_batches;
mod predictions;
mod reviews;
mod serving;
mod snapshots;
mod through_the_broker;

use risk_service::Config;
use service::Clock;
use testkit::Follower;

/// The service on a database of its own.
async fn started() -> Follower {
    Follower::start("risk", |settings, metrics| {
        risk_service::start(settings, &Config::default(), Clock::database(), metrics)
    })
    .await
}
