//! The risk service: models predict how a client will fare. So far it counts how much each client writes a day, a
//! feature of these models.
//!
//! Read in this order: `routes` is every path on one screen, `store` the SQL, `events` what happens without a request.

mod app;
mod config;
mod error;
mod events;
mod ops;
mod routes;
mod store;

pub use app::{PROGRAM, start};
pub use routes::openapi;
