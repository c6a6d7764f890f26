//! The core service: accounts, who cares for whom, messages, and which of them wait for a score.
//!
//! Read in this order: `routes` is every path on one screen, `domain` what is decided, `ops` the transactions that
//! several share, `store` the SQL, `events` and `jobs` what happens without a request, `admin` the operator's commands.

pub mod admin;
mod anchor;
mod app;
mod config;
mod domain;
mod error;
mod events;
mod jobs;
mod ops;
mod routes;
mod state;
mod store;

pub use app::{Command, PROGRAM, start};
pub use config::{AuditConfig, Config};
pub use routes::openapi;
