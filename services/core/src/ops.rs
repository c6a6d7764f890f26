//! Transactions that routes and the operator's commands share, or that are more than a handler should hold.

pub(crate) mod create_user;
pub(crate) mod follow_clerk;
pub(crate) mod remove_account;
