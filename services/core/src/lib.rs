//! The core service: accounts, who cares for whom, messages, and which of them wait for a score.
//!
//! Read in this order: `routes` is every path on one screen, `domain` what is decided, `ops` the transactions that
//! several share, `store` the SQL, `events` what happens without a request, `clerk` what another system vouches for,
//! `admin` the operator's commands.

pub mod admin;
mod app;
mod clerk;
mod config;
mod domain;
mod error;
mod events;
mod ops;
mod routes;
mod state;
mod store;

pub use app::{Command, PROGRAM, start};
pub use clerk::{ClerkSettings, SessionSettings};
pub use config::OwnSettings;
pub use routes::openapi;
