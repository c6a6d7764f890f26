//! Periodic work, one bounded round at a time.

pub(crate) mod advance;
pub(crate) mod codes;
pub(crate) mod deliver;
pub(crate) mod drill;
pub(crate) mod duty;
pub(crate) mod forecast;
pub(crate) mod lapse;
pub(crate) mod release;
pub(crate) mod remind;
pub(crate) mod rotations;
pub(crate) mod silence;
pub(crate) mod stream;
pub(crate) mod sweep;
pub(crate) mod watch;
