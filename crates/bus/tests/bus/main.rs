//! What the bus promises, on a real RabbitMQ and a real Postgres.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, reads its servers from the environment and runs tasks of its own"
)]

mod consuming;
mod dead_letters;
mod proxy;
mod publishing;
mod world;
