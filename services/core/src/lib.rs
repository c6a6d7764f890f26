//! The core service: accounts, who cares for whom, messages, and which of them wait for a score.
//!
//! Read in this order: `routes` is every path on one screen, `domain` what is decided, `ops` the transactions that
//! several share, `store` the SQL, `events` and `jobs` what happens without a request, `admin` the operator's commands. `hasher`,
//! `sealer`, `resets` and `mail` serve those who sign in.

pub mod admin;
mod app;
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
mod sealer;
mod state;
mod store;

pub use app::{Command, PROGRAM, start};
pub use config::{MailSettings, OwnSettings};
pub use routes::openapi;
