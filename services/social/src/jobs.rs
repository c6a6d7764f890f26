//! Periodic work, one bounded round at a time.

pub(crate) mod codes;
pub(crate) mod deliver;
pub(crate) mod leases;
pub(crate) mod notify;
pub(crate) mod release;
pub(crate) mod sweep;
