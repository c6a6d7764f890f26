//! What the core service promises, on a real Postgres.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod admin;
mod break_glass;
mod caseload;
mod events;
mod harness;
mod history;
mod leases;
mod messages;
mod refusals;
mod roles;
mod teams;
mod tokens;
mod user_changes;
mod users;
