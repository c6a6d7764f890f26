//! The core service: accounts, who cares for whom, messages, and which of them wait for a score.
//!
//! Read in this order: `routes` is every path on one screen, `domain` what is decided, `ops` the transactions that
//! several share, `store` the SQL, `events` and `jobs` what happens without a request, `admin` the operator's commands. `hasher`,
//! `cipher`, `resets` and `mail` serve those who sign in; `short_term` is the companion's memory of the last turns; `clerk` is what another system vouches for; `anchor` is the audit's copy outside Postgres.

pub mod admin;
mod anchor;
mod app;
mod cipher;
mod clerk;
mod config;
mod domain;
mod error;
mod events;
mod hasher;
mod jobs;
mod mail;
mod ops;
mod resets;
mod routes;
mod short_term;
mod state;
mod store;

pub use app::{Command, PROGRAM, start};
pub use clerk::{ClerkSettings, SessionSettings};
pub use config::{AuditConfig, Config, MailConfig};
pub use routes::openapi;
pub use short_term::ShortTermConfig;
