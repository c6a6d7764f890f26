//! The causal service: estimates which action helps whom. So far it sums each client's risk a day, the outcome of
//! these estimates.
//!
//! Read in this order: `routes` is every path on one screen, `store` the SQL, `events` what happens without a request.

mod app;
mod config;
mod events;
mod routes;
mod store;

pub use app::{PROGRAM, start};
pub use routes::openapi;
