//! What this service consumes, topic by topic.

mod messages;

use bus::Handlers;
use common::contracts::{Contract, MessageCreated};

/// Topic → consumer.
pub(crate) fn handlers() -> Handlers {
    Handlers::new().on(MessageCreated::TYPE, messages::created)
}
