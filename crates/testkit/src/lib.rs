//! Real servers for tests: a database per test from a template, a vhost per test, a key prefix per test, and
//! principals to call with. Never mocks of Postgres or RabbitMQ.
//!
//! `make test` starts the servers and names them in the environment; a test that is run by hand finds them in
//! `.dev/test/env`.

#![warn(missing_docs)]
#![expect(
    clippy::expect_used,
    reason = "a test that has no server fails by panicking, with the reason"
)]

mod broker;
mod crash;
mod database;
mod follower;
mod http;
pub mod leaving;
pub mod plan;
mod principals;
mod servers;
pub mod serving;
mod smtp;
mod webhook;

pub use broker::TestBus;
pub use crash::{Process, Stack, eventually, free_port};
pub use database::TestDb;
pub use follower::{Follower, event, event_of};
pub use http::{Answer, Client};
pub use principals::Principals;
pub use servers::{Servers, redis_prefix, workspace_root};
pub use smtp::{Received, SmtpSink};
pub use webhook::{Webhook, WebhookSink};
