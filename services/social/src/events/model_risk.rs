//! What the risk service says of clients: `risk.level.changed` is the level that the caseload list shows, and
//! `risk.prediction.recorded` opens or joins an escalation where a live model says VERY_HIGH. The label is never changed by
//! either, and a shadow model does nothing here.
//!
//! A prediction that was a shadow's when it came has no event of a live one. Once its version is live, the change of level
//! by the stage is what opens or joins. Whichever event tells of a prediction first, it does so once.

use std::collections::HashMap;
use std::sync::Arc;

use bus::HandleError;
use chrono::{DateTime, Utc};
use common::contracts::{ModelPredictionRecorded, RiskLevelChanged};
use common::{EscalationType, Event, LevelCause, ModelRiskLevel, Urgency};
use db::Tx;
use serde_json::json;

use crate::domain::escalation::Trigger;
use crate::ops::raise::raise;
use crate::state::State;
use crate::store::{model_triggers, profiles};

/// The stage of a model whose word counts.
const LIVE: &str = "live";

/// A prediction of VERY_HIGH that pages.
struct Page<'a> {
    prediction_id: i64,
    user_id: &'a str,
    model_name: &'a str,
    model_version: &'a str,
    probability: Option<f64>,
    predicted_at: Option<DateTime<Utc>>,
}

pub(super) async fn prediction_recorded(
    state: &Arc<State>,
    tx: &Tx,
    events: &[Event],
) -> Result<(), HandleError> {
    let predictions: Vec<ModelPredictionRecorded> = bus::read(events)?;
    // One that came late is history: a newer one of its version stands, or its horizon is over.
    let pages: Vec<Page<'_>> = predictions
        .iter()
        .filter(|said| {
            said.stage == LIVE
                && said.risk_level == ModelRiskLevel::VeryHigh
                && said.is_current != Some(false)
        })
        .map(|said| Page {
            prediction_id: said.prediction_id,
            user_id: &said.user_id,
            model_name: &said.model_name,
            model_version: &said.model_version,
            probability: Some(said.probability),
            predicted_at: Some(said.predicted_at),
        })
        .collect();
    let users: Vec<&str> = pages.iter().map(|page| page.user_id).collect();
    hold(state, tx, &users).await?;
    page(state, tx, &pages).await
}

pub(super) async fn level_changed(state: &Arc<State>, tx: &Tx, events: &[Event]) -> Result<(), HandleError> {
    let changes: Vec<RiskLevelChanged> = bus::read(events)?;
    let users: Vec<&str> = changes.iter().map(|change| change.user_id.as_str()).collect();
    hold(state, tx, &users).await?;
    profiles::save_model_levels(tx, &changes).await?;
    let pages: Vec<Page<'_>> = changes
        .iter()
        .filter(|change| change.cause == LevelCause::Stage && change.to == Some(ModelRiskLevel::VeryHigh))
        .map(|change| {
            let unnamed = || HandleError::other("a level by a stage names no prediction");
            Ok(Page {
                prediction_id: change.prediction_id.ok_or_else(unnamed)?,
                user_id: &change.user_id,
                model_name: change.model_name.as_deref().unwrap_or_default(),
                model_version: change.model_version.as_deref().unwrap_or_default(),
                probability: change.probability,
                predicted_at: change.predicted_at,
            })
        })
        .collect::<Result<_, HandleError>>()?;
    page(state, tx, &pages).await
}

/// Locks the profiles of clients, also of one whose account is announced later; one of an erased account stays away.
async fn hold(state: &Arc<State>, tx: &Tx, users: &[&str]) -> Result<(), HandleError> {
    if !users.is_empty() {
        profiles::create(tx, users, state.clock.fixed()).await?;
        profiles::lock(tx, users).await?;
    }
    Ok(())
}

/// Opens or joins an escalation of each client by the prediction made last of those that have not done so.
async fn page(state: &Arc<State>, tx: &Tx, pages: &[Page<'_>]) -> Result<(), HandleError> {
    let told: Vec<(i64, &str)> = pages
        .iter()
        .map(|page| (page.prediction_id, page.user_id))
        .collect();
    let new = model_triggers::claim(tx, &told, state.clock.fixed()).await?;
    let mut latest: HashMap<&str, &Page<'_>> = HashMap::new();
    for page in pages.iter().filter(|page| new.contains(&page.prediction_id)) {
        let newest = latest.entry(page.user_id).or_insert(page);
        if newest.predicted_at < page.predicted_at {
            *newest = page;
        }
    }
    if latest.is_empty() {
        return Ok(());
    }
    let triggers: Vec<Trigger> = latest.values().map(|page| trigger(page)).collect();
    let raised = raise(tx, &triggers, state.clock.fixed())
        .await
        .map_err(HandleError::other)?;
    state.outbox.enqueue(tx, raised.events);
    Ok(())
}

fn trigger(page: &Page<'_>) -> Trigger {
    Trigger {
        user_id: page.user_id.to_owned(),
        escalation_type: EscalationType::ModelRisk,
        urgency: Urgency::Critical,
        risk_score: page.probability,
        risk_level: ModelRiskLevel::VeryHigh.as_str().to_owned(),
        reason: "A live risk model says the risk is very high.".to_owned(),
        data: json!({
            "prediction_id": page.prediction_id,
            "model_name": page.model_name,
            "model_version": page.model_version,
        }),
    }
}
