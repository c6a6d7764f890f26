//! What this service consumes, topic by topic.

mod messages;
mod model_predictions;
mod users;

use std::sync::Arc;

use bus::{HandleError, Handlers, with};
use common::contracts::{Contract, MessageCreated, ModelPredictionRecorded, UserCreated};

use crate::app::State;
use crate::error::Error;

/// Topic → consumer.
pub(crate) fn handlers(state: &Arc<State>) -> Handlers {
    Handlers::new()
        .on(UserCreated::TYPE, with(Arc::clone(state), users::created))
        .on(MessageCreated::TYPE, with(Arc::clone(state), messages::created))
        .on(
            ModelPredictionRecorded::TYPE,
            with(Arc::clone(state), model_predictions::recorded),
        )
}

/// An op's failure as the consumer judges it: a database that is away never counts against an event.
fn failed(error: Error) -> HandleError {
    match error {
        Error::Db(error) => error.into(),
        other => HandleError::other(other),
    }
}

/// The contracts of events of one type.
fn read<T: Contract>(events: &[common::Event]) -> Result<Vec<T>, HandleError> {
    Ok(events.iter().map(common::Event::data).collect::<Result<_, _>>()?)
}
