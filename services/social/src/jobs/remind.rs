//! Clients are reminded of a meeting that is near, once, by a nudge: outside their quiet hours, and not when it has begun.

use bus::NewEvent;
use common::contracts::nudge;

use crate::domain::nudge::{Circumstances, Source};
use crate::domain::quiet::earliest_send;
use crate::error::Error;
use crate::ops::offer::nudge_changed;
use crate::state::State;
use crate::store::circumstances;
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
    let asked: Vec<circumstances::Asked<'_>> = near
        .iter()
        .map(|near| (near.user_id.as_str(), near.now))
        .collect();
    let (found, _) = circumstances::read(&tx, &asked, state.clock.fixed()).await?;
    let reminders: Vec<Insert> = near
        .iter()
        .filter_map(|near| reminder(near, found.get(&near.user_id)?))
        .collect();
    let ids = nudges::insert(&tx, &reminders).await?;
    let events = reminders
        .iter()
        .zip(ids)
        .map(|(reminder, nudge_id)| nudge_changed(nudge::CREATED, nudge_id, reminder))
        .collect::<Result<Vec<NewEvent>, _>>()?;
    state.outbox.enqueue(&tx, events);
    tx.commit().await?;
    Ok(near.len() as u64)
}

/// `None` where quiet hours end too late for one, or the client wants no nudges. No limit is in its way: the client agreed to
/// the meeting.
fn reminder(near: &Nearing, of: &Circumstances) -> Option<Insert> {
    let send_after = earliest_send(near.now, of.zone, &of.hours)?;
    let channel = of.channel?;
    (send_after < near.scheduled_time).then(|| Insert {
        user_id: near.user_id.clone(),
        nudge_type: NUDGE_TYPE.to_owned(),
        nudge_message: MESSAGE.to_owned(),
        risk_level: near.label,
        source: Source::Meeting,
        created_at: near.now,
        send_after,
        expires_at: near.scheduled_time,
        channel,
        withheld_reason: None,
        dedup_key: None,
        recommendation_id: None,
    })
}
