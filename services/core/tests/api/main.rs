//! What the core service promises, on a real Postgres.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod admin;
mod caseload;
mod clerk;
mod clerk_sessions;
mod events;
mod harness;
mod history;
mod leases;
mod messages;
mod oauth;
mod programs;
mod refusals;
mod tokens;
mod users;
