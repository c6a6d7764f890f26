//! The social service: predictions become risk profiles, nudges and escalations that somebody acknowledges.
//!
//! Read in this order: `routes` is every path on one screen, `domain` what is decided, `ops` the transactions,
//! `store` the SQL, `events` and `jobs` what happens without a request.
//! `paging` and `webhook` are the ways out to staff, `streams` the pages that stay open.

mod app;
mod config;
mod domain;
mod error;
mod events;
mod gather;
mod jobs;
mod metrics;
mod ops;
mod paging;
mod routes;
mod state;
mod store;
mod streams;
mod webhook;

pub use app::{PROGRAM, start};
pub use config::{Config, PagingConfig, WatchConfig};
pub use routes::openapi;
