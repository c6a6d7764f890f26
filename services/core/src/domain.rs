//! What the core service decides, as pure functions: nothing waits, nothing is written.

pub(crate) mod break_glass;
pub(crate) mod changes;
pub(crate) mod message;
pub(crate) mod token;
pub(crate) mod user;
