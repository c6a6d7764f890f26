//! Opening or joining an escalation and telling staff, in the transaction of what triggered it.

use bus::NewEvent;
use chrono::{DateTime, Utc};
use common::contracts::{EscalationChanged, escalation};
use db::Tx;

use crate::domain::escalation::Trigger;
use crate::error::Error;
use crate::store::escalations::{self, Escalation};

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

/// Opens or joins an episode per trigger and tells staff of those that were opened. One trigger per client.
pub(crate) async fn raise(
    tx: &Tx,
    triggers: &[Trigger],
    now: Option<DateTime<Utc>>,
) -> Result<Raised, Error> {
    let episodes = escalations::open_or_join(tx, triggers, now).await?;
    let opened: Vec<&Escalation> = episodes
        .iter()
        .filter(|episode| episode.trigger_count == 1)
        .collect();
    let mut events = Vec::new();
    for episode in &opened {
        events.push(changed(escalation::RAISED, episode)?);
    }
    events.extend(tell(tx, &opened, now).await?.events);
    Ok(Raised { episodes, events })
}

/// What telling led to.
#[derive(Default)]
pub(crate) struct Told {
    /// People who were told.
    pub(crate) deliveries: u64,
    /// What the others must be told.
    pub(crate) events: Vec<NewEvent>,
}

/// Tells the staff of each episode who do not know of it. One that has nobody to tell stays pending, and a job keeps
/// looking.
pub(crate) async fn tell(tx: &Tx, untold: &[&Escalation], now: Option<DateTime<Utc>>) -> Result<Told, Error> {
    if untold.is_empty() {
        return Ok(Told::default());
    }
    let recipients = escalations::recipients(tx, untold, now).await?;
    for episode in untold {
        if !recipients
            .iter()
            .any(|recipient| recipient.escalation_id == episode.escalation_id)
        {
            tracing::error!(
                escalation_id = episode.escalation_id,
                "an escalation has nobody to tell: the client has no counselor and nobody is on duty"
            );
        }
    }
    let told = escalations::tell(tx, &recipients).await?;
    let events = told
        .notified
        .iter()
        .map(|episode| changed(escalation::NOTIFIED, episode))
        .collect::<Result<_, _>>()?;
    Ok(Told {
        deliveries: told.deliveries,
        events,
    })
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
