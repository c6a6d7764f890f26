//! Transactions that several of routes, events and jobs share.

pub(crate) mod capture;
pub(crate) mod known;
pub(crate) mod record;
pub(crate) mod settle_levels;
