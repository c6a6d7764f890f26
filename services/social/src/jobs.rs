//! Periodic work, one bounded round at a time.

pub(crate) mod advance;
pub(crate) mod release;
pub(crate) mod sweep;
