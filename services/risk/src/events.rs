//! What this service consumes, topic by topic.

mod messages;

use bus::Handlers;
use common::contracts::{Contract, MessageCreated, UserErased};

/// Topic → consumer.
pub(crate) fn handlers() -> Handlers {
    Handlers::new()
        .on(MessageCreated::TYPE, messages::created)
        .on(UserErased::TYPE, service::forget_erased)
}
