//! Postgres for the five services, and the only user of its drivers: pools, transactions that carry who is
//! asking, errors by constraint, notifications, migrations.
//!
//! Two pools, because two kinds of work see different rows. A person's request runs in a [`Tx`] that knows the
//! [`Actor`], and row-level security shows it the caseload of that actor and nothing more. Jobs, consumers and
//! pipelines run as the service's worker role, which a policy of its own lets see every row of the schema.

#![warn(missing_docs)]

mod actor;
mod again;
mod error;
mod listen;
pub mod migrate;
mod pool;
mod tls;
mod tx;

pub use actor::Actor;
pub use again::again;
pub use deadpool_postgres::tokio_postgres::Row;
pub use deadpool_postgres::tokio_postgres::types::{FromSql, Json, ToSql};
pub use error::Error;
pub use listen::Listener;
pub use migrate::{MigrateError, Migrations};
pub use pgvector::Vector;
pub use pool::{Db, Settings};
pub use tx::{OwnedParam, Params, Tx};
