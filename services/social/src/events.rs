//! What this service consumes, topic by topic.

mod consents;
mod messages;
mod model_risk;
mod recommendations;
mod users;

use std::sync::Arc;

use crate::state::State;
use bus::{Handlers, with};
use common::contracts::{
    Contract, MessageCreated, MessageDeleted, ModelPredictionRecorded, RecommendationCreated,
    RiskLevelChanged, UserCreated, UserErased, consent,
};

/// Topic → consumer.
pub(crate) fn handlers(state: &Arc<State>) -> Handlers {
    Handlers::new()
        .on(UserCreated::TYPE, with(Arc::clone(state), users::created))
        .on(MessageCreated::TYPE, with(Arc::clone(state), messages::created))
        .on(MessageDeleted::TYPE, with(Arc::clone(state), messages::deleted))
        .on(
            ModelPredictionRecorded::TYPE,
            with(Arc::clone(state), model_risk::prediction_recorded),
        )
        .on(
            RiskLevelChanged::TYPE,
            with(Arc::clone(state), model_risk::level_changed),
        )
        .on(consent::REVOKED, with(Arc::clone(state), consents::revoked))
        .on(
            RecommendationCreated::TYPE,
            with(Arc::clone(state), recommendations::created),
        )
        .on(UserErased::TYPE, service::forget_erased)
}
