//! What this service consumes, topic by topic.

mod predictions;

use bus::Handlers;
use common::contracts::{Contract, PredictionRecorded, UserErased};

/// Topic → consumer.
pub(crate) fn handlers() -> Handlers {
    Handlers::new()
        .on(PredictionRecorded::TYPE, predictions::recorded)
        .on(UserErased::TYPE, service::forget_erased)
}
