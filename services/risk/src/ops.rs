//! Transactions that several of routes, events and jobs share.

pub(crate) mod settle_levels;
