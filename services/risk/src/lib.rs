//! The risk service: what models say of a client's risk of relapse, of which features they say so, why, and what stage
//! each model is at. It also counts how much each client writes a day.
//!
//! Read in this order: `routes` is every path on one screen, `domain` what is decided, `ops` the transactions,
//! `store` the SQL, `events` and `jobs` what happens without a request.

mod app;
mod config;
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "pure so far; routes and jobs call it next")
)]
mod domain;
mod error;
mod events;
mod jobs;
mod ops;
mod routes;
mod state;
mod store;

pub use app::{PROGRAM, start};
pub use config::Config;
pub use routes::openapi;
