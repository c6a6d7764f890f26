//! `reco.recommendation.created`: what stands first of a ranking is offered as a nudge, within the limits of all nudges.

use std::sync::Arc;

use bus::HandleError;
use common::contracts::RecommendationCreated;
use common::{Event, Probability};
use db::Tx;

use crate::domain::nudge::{Source, is_kind};
use crate::ops::offer::{Lasts, Offer, offer};
use crate::state::State;
use crate::store::profiles;

/// The kind of a recommendation for whose own there is no text.
const ANY_RECOMMENDATION: &str = "recommendation";

pub(super) async fn created(state: &Arc<State>, tx: &Tx, events: &[Event]) -> Result<(), HandleError> {
    let recommended: Vec<RecommendationCreated> = bus::read(events)?;
    let offers: Vec<Offer> = recommended
        .iter()
        .filter(|recommended| recommended.rank == 1)
        .map(offered)
        .collect::<Result<_, _>>()?;
    let clients: Vec<&str> = offers.iter().map(|offer| offer.user_id.as_str()).collect();
    // A recommendation may arrive before the account it is for; one for an erased account changes nothing.
    profiles::create(tx, &clients, state.clock.fixed()).await?;
    offer(tx, &state.outbox, state.clock.fixed(), &offers)
        .await
        .map_err(HandleError::other)?;
    Ok(())
}

fn offered(recommended: &RecommendationCreated) -> Result<Offer, HandleError> {
    if !is_kind(&recommended.family) {
        return Err(HandleError::other("the family of a recommendation is no word"));
    }
    let probability = match recommended.probability {
        None => None,
        Some(number) => match Probability::new(number) {
            Some(probability) if probability.as_f64() > 0.0 => Some(probability.as_f64()),
            Some(_) | None => {
                return Err(HandleError::other(
                    "what was recommended had no probability in (0, 1]",
                ));
            }
        },
    };
    Ok(Offer {
        user_id: recommended.user_id.clone(),
        source: Source::Reco,
        nudge_type: recommended.family.clone(),
        otherwise: Some(ANY_RECOMMENDATION),
        message: None,
        send_after: None,
        lasts: Lasts::Until(recommended.expires_at),
        key: Some(recommended.recommendation_id.to_string()),
        probability,
        recommendation_id: Some(recommended.recommendation_id),
        reason: format!("Recommended by policy {}.", recommended.policy_version),
    })
}
