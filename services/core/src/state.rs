//! What handlers share.

use crate::clerk::Clerk;

/// The ways to the database, the outbox and Clerk.
pub(crate) struct State {
    pub(crate) db: db::Db,
    pub(crate) outbox: bus::Outbox,
    pub(crate) clerk: Clerk,
}
