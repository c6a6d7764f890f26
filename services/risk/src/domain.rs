//! What the risk service decides and measures, as pure functions: time is an argument, nothing waits, nothing is written.

pub(crate) mod explanation;
pub(crate) mod level;
pub(crate) mod metrics;
pub(crate) mod outcome;
pub(crate) mod replay;
