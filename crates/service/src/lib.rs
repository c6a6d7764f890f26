//! What the five services have in common besides their schemas: settings, start, stop, and a command line.
//!
//! A service says what it is in a [`Definition`]; [`Service::start`] runs it: the server first, then consumer, relay
//! and jobs. [`Service::stop`] ends them in the order in which nothing is lost: readiness off, finish requests, stop
//! consuming, drain the relay.

#![warn(missing_docs)]

mod cli;
mod clock;
mod erasure;
mod job;
mod retention;
mod running;
mod settings;

pub use cli::{NoCommand, Program, main};
pub use clock::Clock;
pub use erasure::forget_erased;
pub use job::{Job, JobError};
pub use retention::Term;
pub use running::{Definition, Foundation, Service, StartError, erasure_key};
pub use settings::{Settings, Variables};
