//! The reco service: recommends what may help a client next. So far it keeps each client's latest label and trend,
//! the context of these recommendations.
//!
//! Read in this order: `routes` is every path on one screen, `store` the SQL, `events` what happens without a request.

mod app;
mod config;
mod events;
mod routes;
mod store;

pub use app::{PROGRAM, start};
pub use routes::openapi;
