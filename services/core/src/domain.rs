//! What the core service decides, as pure functions: nothing waits, nothing is written.

pub(crate) mod clerk;
pub(crate) mod message;
pub(crate) mod program;
pub(crate) mod token;
pub(crate) mod user;
