//! `risk.prediction.recorded`: a live model's level is shown on the caseload list; VERY_HIGH opens or joins an
//! escalation. The label is never changed by it, and a shadow model does nothing here.

use std::collections::HashMap;
use std::sync::Arc;

use bus::HandleError;
use common::contracts::ModelPredictionRecorded;
use common::{EscalationType, Event, ModelRiskLevel, Urgency};
use db::Tx;
use serde_json::json;

use crate::domain::escalation::Trigger;
use crate::ops::raise::raise;
use crate::state::State;
use crate::store::profiles::{self, ModelLevel};

/// The stage of a model whose word counts.
const LIVE: &str = "live";

pub(super) async fn recorded(state: &Arc<State>, tx: &Tx, events: &[Event]) -> Result<(), HandleError> {
    let mut predictions: Vec<ModelPredictionRecorded> = bus::read(events)?;
    predictions.retain(|prediction| prediction.stage == LIVE);
    let levels: Vec<ModelLevel<'_>> = predictions
        .iter()
        .map(|prediction| ModelLevel {
            user_id: &prediction.user_id,
            level: prediction.risk_level.as_str(),
            predicted_at: prediction.predicted_at,
        })
        .collect();
    // A prediction may arrive before the account it is about; one about an erased account changes nothing.
    let users: Vec<&str> = predictions
        .iter()
        .map(|prediction| prediction.user_id.as_str())
        .collect();
    profiles::create(tx, &users, state.clock.fixed()).await?;
    let changed = profiles::save_model_levels(tx, &levels).await?;
    // The latest of each client whose level it is now: one trigger each, and none for what came late.
    let mut latest: HashMap<&str, &ModelPredictionRecorded> = HashMap::new();
    for prediction in predictions
        .iter()
        .filter(|prediction| changed.contains(&prediction.user_id))
    {
        let newest = latest.entry(&prediction.user_id).or_insert(prediction);
        if newest.predicted_at < prediction.predicted_at {
            *newest = prediction;
        }
    }
    let triggers: Vec<Trigger> = latest
        .values()
        .filter(|prediction| prediction.risk_level == ModelRiskLevel::VeryHigh)
        .map(|prediction| trigger(prediction))
        .collect();
    let raised = raise(tx, &triggers, state.clock.fixed())
        .await
        .map_err(HandleError::other)?;
    state.outbox.enqueue(tx, raised.events);
    Ok(())
}

fn trigger(prediction: &ModelPredictionRecorded) -> Trigger {
    Trigger {
        user_id: prediction.user_id.clone(),
        escalation_type: EscalationType::ModelRisk,
        urgency: Urgency::Critical,
        risk_score: Some(prediction.probability),
        risk_level: prediction.risk_level.as_str().to_owned(),
        reason: "A live risk model says the risk is very high.".to_owned(),
        data: json!({
            "prediction_id": prediction.prediction_id,
            "model_name": prediction.model_name,
            "model_version": prediction.model_version,
        }),
    }
}
