//! The risk service: models predict how a client will fare. So far it counts how much each client writes a day, a
//! feature of these models.
//!
//! Read in this order: `routes` is every path on one screen, `domain` what is decided and measured, `store` the SQL, `events` what happens without a request.

mod app;
mod config;
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "pure so far; routes and jobs call it next")
)]
mod domain;
mod events;
mod routes;
mod store;

pub use app::{PROGRAM, start};
pub use routes::openapi;
