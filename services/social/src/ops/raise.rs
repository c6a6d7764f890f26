//! Opening or joining an escalation and telling staff, in the transaction of what triggered it.

use std::collections::HashMap;

use bus::NewEvent;
use chrono::{DateTime, Utc};
use common::EscalationStatus;
use common::contracts::{EscalationChanged, escalation};
use db::Tx;

use crate::domain::escalation::Trigger;
use crate::error::Error;
use crate::store::escalations::{self, Escalation};
use crate::store::tiers;

/// What a round of triggers led to.
#[derive(Default)]
pub(crate) struct Raised {
    /// Every episode that was opened or joined.
    pub(crate) episodes: Vec<Escalation>,
    /// What the others must be told.
    pub(crate) events: Vec<NewEvent>,
}

impl Raised {
    /// The episode about a client.
    pub(crate) fn about(&self, user_id: &str) -> Option<&Escalation> {
        self.episodes
            .iter()
            .find(|episode| episode.user_id.as_deref() == Some(user_id))
    }
}

/// Opens or joins an episode per trigger and tells the first tier of those that were opened. One trigger per client and
/// type. Nothing here is limited in its rate: a crisis never is.
pub(crate) async fn raise(
    tx: &Tx,
    triggers: &[Trigger],
    now: Option<DateTime<Utc>>,
) -> Result<Raised, Error> {
    let mut episodes = escalations::open_or_join(tx, triggers, now).await?;
    let opened: Vec<&Escalation> = episodes
        .iter()
        .filter(|episode| episode.trigger_count == 1)
        .collect();
    let mut events = Vec::new();
    for episode in &opened {
        events.push(changed(escalation::RAISED, episode)?);
    }
    let ids: Vec<i64> = opened.iter().map(|episode| episode.escalation_id).collect();
    let mut now_at: HashMap<i64, Escalation> = by_id(tiers::advance(tx, &ids, now).await?);
    let told = tell(tx, &ids, now).await?;
    events.extend(told.events);
    now_at.extend(by_id(told.notified));
    for episode in &mut episodes {
        if let Some(moved) = now_at.remove(&episode.escalation_id) {
            *episode = moved;
        }
    }
    for untold in episodes.iter().filter(|e| e.status == EscalationStatus::Pending) {
        tracing::error!(
            escalation_id = untold.escalation_id,
            "an escalation has nobody to tell: no tier of its policy has anybody, nor has its last resort"
        );
    }
    Ok(Raised { episodes, events })
}

/// Moves locked, open episodes to the next tier and tells it.
pub(crate) async fn advance(tx: &Tx, ids: &[i64], now: Option<DateTime<Utc>>) -> Result<Raised, Error> {
    let episodes = tiers::advance(tx, ids, now).await?;
    let mut events = Vec::new();
    for episode in &episodes {
        events.push(changed(escalation::ADVANCED, episode)?);
    }
    events.extend(tell(tx, ids, now).await?.events);
    Ok(Raised { episodes, events })
}

/// What telling led to.
pub(crate) struct Told {
    /// Deliveries that were made.
    pub(crate) deliveries: u64,
    /// Episodes that nobody knew of before.
    notified: Vec<Escalation>,
    /// What the others must be told.
    pub(crate) events: Vec<NewEvent>,
}

/// Tells the staff of each episode who do not know of it. One that has nobody to tell stays as it is, and a job keeps
/// looking.
pub(crate) async fn tell(tx: &Tx, ids: &[i64], now: Option<DateTime<Utc>>) -> Result<Told, Error> {
    let told = tiers::tell(tx, ids, now).await?;
    let events = told
        .notified
        .iter()
        .map(|episode| changed(escalation::NOTIFIED, episode))
        .collect::<Result<_, _>>()?;
    Ok(Told {
        deliveries: told.deliveries,
        notified: told.notified,
        events,
    })
}

fn by_id(episodes: Vec<Escalation>) -> HashMap<i64, Escalation> {
    episodes
        .into_iter()
        .map(|episode| (episode.escalation_id, episode))
        .collect()
}

/// The event of an episode's change.
pub(crate) fn changed(event_type: &'static str, episode: &Escalation) -> Result<NewEvent, Error> {
    let user_id = episode.user_id.clone().unwrap_or_default();
    let data = EscalationChanged {
        escalation_id: episode.escalation_id,
        user_id: user_id.clone(),
        escalation_type: episode.escalation_type,
        urgency: episode.urgency,
        status: episode.status,
        trigger_count: episode.trigger_count,
    };
    Ok(NewEvent::new(event_type, Some(user_id), &data)?)
}
