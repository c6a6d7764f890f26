//! What the core service promises, on a real Postgres.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod admin;
mod audit;
mod audit_chain;
mod break_glass;
mod caseload;
mod clerk;
mod clerk_sessions;
mod consents;
mod context;
mod disclosures;
mod erasure;
mod events;
mod faces;
mod harness;
mod history;
mod interactions;
mod leases;
mod leaving;
mod memories;
mod memory_collections;
mod memory_embeddings;
mod memory_search;
mod messages;
mod oauth;
mod on_record;
mod password_reset;
mod passwords;
mod planting;
mod preferences;
mod programs;
mod provider_events;
mod refusals;
mod retention;
mod reviews;
mod roles;
mod short_term;
mod sign_in;
mod teams;
mod threads;
mod throttle;
mod tokens;
mod totp;
mod traces;
mod turns;
mod user_changes;
mod users;
