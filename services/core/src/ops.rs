//! Transactions that routes and the operator's commands share.

pub(crate) mod attempt;
pub(crate) mod create_user;
pub(crate) mod erase_user;
pub(crate) mod give_tokens;
pub(crate) mod set_password;
pub(crate) mod update_user;
pub(crate) mod verify_audit;
