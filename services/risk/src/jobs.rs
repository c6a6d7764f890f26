//! What happens because time passes. Each job is one bounded round.

pub(crate) mod label;
pub(crate) mod levels;
pub(crate) mod stages;
