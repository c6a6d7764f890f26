//! What this service consumes, topic by topic.

mod profiles;

use bus::Handlers;
use common::contracts::{Contract, ProfileChanged, UserErased};

/// Topic → consumer.
pub(crate) fn handlers() -> Handlers {
    Handlers::new()
        .on(ProfileChanged::TYPE, profiles::changed)
        .on(UserErased::TYPE, service::forget_erased)
}
