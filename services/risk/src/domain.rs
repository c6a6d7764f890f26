//! What the risk service decides and measures, as pure functions: time is an argument, nothing waits, nothing is written.

pub(crate) mod days;
pub(crate) mod explanation;
pub(crate) mod feature;
pub(crate) mod level;
pub(crate) mod metrics;
pub(crate) mod name;
pub(crate) mod outcome;
pub(crate) mod prediction;
pub(crate) mod replay;
pub(crate) mod review;
pub(crate) mod snapshot;
pub(crate) mod stage;
