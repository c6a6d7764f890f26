//! Transactions that routes and the operator's commands share, or that are more than a handler should hold.

pub(crate) mod anchor_seals;
pub(crate) mod attempt;
pub(crate) mod create_user;
pub(crate) mod erase_user;
pub(crate) mod follow_clerk;
pub(crate) mod give_tokens;
pub(crate) mod named;
pub(crate) mod prove_password;
pub(crate) mod remember;
pub(crate) mod set_password;
pub(crate) mod store_messages;
pub(crate) mod tell_deleted;
pub(crate) mod update_user;
pub(crate) mod verify_audit;
