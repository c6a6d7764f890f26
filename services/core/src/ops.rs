//! Transactions that routes and the operator's commands share.

pub(crate) mod create_user;
pub(crate) mod erase_user;
