//! Transactions that several of routes, events and jobs share.

pub(crate) mod measure;
pub(crate) mod settle_levels;
