//! Events between the services, over RabbitMQ; the only user of its driver.
//!
//! A fact leaves in three steps, each of which may be repeated and none of which may be lost:
//!
//! 1. [`Outbox::enqueue`] writes it in the transaction of the state it tells of.
//! 2. The [`Relay`] publishes it and marks it only after the broker's confirm.
//! 3. The [`Consumer`] applies it in one transaction with its inbox row, and acknowledges after the commit.
//!
//! So an event arrives at least once and is applied once. What cannot be applied ends in the table that
//! [`dead`] lists and redrives. Postgres is the truth throughout: with the broker away writes go on, and
//! with Postgres away events wait where they are.

#![warn(missing_docs)]

mod applier;
mod backoff;
mod broker;
mod consumer;
pub mod dead;
mod error;
mod handler;
mod health;
mod metrics;
mod outbox;
mod relay;
mod stop;
pub mod topology;
mod trace;

pub use broker::Broker;
pub use consumer::Consumer;
pub use dead::redrive::Redriven;
pub use error::Error;
pub use handler::{HandleError, Handler, Handlers, read, with};
pub use health::Health;
pub use outbox::{EncodeError, NewEvent, Outbox};
pub use relay::{Drained, Relay};
