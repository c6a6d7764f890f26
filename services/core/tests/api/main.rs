//! What the core service promises, on a real Postgres.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod admin;
mod caseload;
mod erasure;
mod events;
mod harness;
mod history;
mod leases;
mod leaving;
mod messages;
mod planting;
mod refusals;
mod tokens;
mod traces;
mod users;
