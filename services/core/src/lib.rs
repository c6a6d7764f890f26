//! The core service: accounts, who cares for whom, messages, and which of them wait for a score.
//!
//! Read in this order: `routes` is every path on one screen, `domain` what is decided, `ops` the transactions that
//! several share, `store` the SQL, `events` and `jobs` what happens without a request, `admin` the operator's commands. `hasher`
//! and `resets` serve those who sign in; `clerk` is what another system vouches for; `anchor` is the audit's copy
//! outside Postgres; `short_term`, `models` and `touched` serve the companion's memory.

pub mod admin;
mod anchor;
mod app;
mod clerk;
mod config;
mod domain;
mod error;
mod events;
mod hasher;
mod jobs;
mod models;
mod ops;
mod queues;
mod resets;
mod routes;
mod short_term;
mod state;
mod store;
mod touched;

pub use app::{Command, PROGRAM, start};
pub use clerk::{ClerkSettings, SessionSettings};
pub use config::{AuditConfig, Config, MailConfig, SearchConfig, TermConfig};
pub use routes::openapi;
pub use short_term::ShortTermConfig;
