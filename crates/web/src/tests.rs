//! The crate against real sockets. There is no Postgres behind these servers: what needs one is tested by the services.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod bodies;
mod connections;
mod lists;
mod server;
mod site;
