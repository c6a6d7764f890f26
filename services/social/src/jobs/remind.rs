//! Clients are reminded of a meeting that is near, once, by a nudge: outside their quiet hours, and not when it has begun.

use bus::NewEvent;
use common::contracts::{NudgeChanged, nudge};

use crate::domain::quiet;
use crate::error::Error;
use crate::state::State;
use crate::store::meetings::{self, Nearing};
use crate::store::nudges::{self, Insert};

/// Meetings of one round, and so of one transaction.
const MAX_MEETINGS: i64 = 200;

const NUDGE_TYPE: &str = "meeting_reminder";
/// Says neither when nor with whom: it may be read over somebody's shoulder.
const MESSAGE: &str = "You have a meeting coming up. Open the app to see when it begins.";

/// Makes reminders of what is near; returns of how many meetings.
pub(crate) async fn round(state: &State) -> Result<u64, Error> {
    let tx = state.db.begin_worker().await?;
    let near = meetings::claim_nearing(&tx, state.clock.fixed(), MAX_MEETINGS).await?;
    let reminders: Vec<Insert> = near.iter().filter_map(reminder).collect();
    let stored = nudges::insert(&tx, &reminders).await?;
    let events = stored
        .into_iter()
        .map(|(user_id, nudge_id)| created(user_id, nudge_id))
        .collect::<Result<_, _>>()?;
    state.outbox.enqueue(&tx, events);
    tx.commit().await?;
    Ok(near.len() as u64)
}

/// `None` where quiet hours end too late for one.
fn reminder(near: &Nearing) -> Option<Insert> {
    let zone = near.timezone.parse().unwrap_or(chrono_tz::Tz::UTC);
    let send_after = quiet::earliest_send(near.now, zone);
    (send_after < near.scheduled_time).then(|| Insert {
        user_id: near.user_id.clone(),
        nudge_type: NUDGE_TYPE.to_owned(),
        nudge_message: MESSAGE.to_owned(),
        risk_level: near.label.as_str(),
        // Not the rules' own, which is the first after a label.
        source: "staff",
        created_at: near.now,
        send_after,
        expires_at: near.scheduled_time,
    })
}

fn created(user_id: String, nudge_id: i64) -> Result<NewEvent, Error> {
    let data = NudgeChanged {
        nudge_id,
        user_id: user_id.clone(),
        nudge_type: NUDGE_TYPE.to_owned(),
        status: "pending".to_owned(),
        user_response: None,
    };
    Ok(NewEvent::new(nudge::CREATED, Some(user_id), &data)?)
}
