//! Transactions that several of routes, events and jobs share.

pub(crate) mod decide;
pub(crate) mod end_meeting;
pub(crate) mod fill_rotations;
pub(crate) mod flag;
pub(crate) mod offer;
pub(crate) mod raise;
pub(crate) mod recompute;
pub(crate) mod record;
pub(crate) mod share;
pub(crate) mod tell;
