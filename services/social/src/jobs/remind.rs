//! Clients are reminded of a meeting that is near, once, by a nudge: in their hours, and not when it has begun.

use common::contracts::nudge;

use crate::domain::nudge::{Circumstances, Source};
use crate::domain::quiet;
use crate::domain::template::Templates;
use crate::error::Error;
use crate::ops::offer::nudge_changed;
use crate::state::State;
use crate::store::meetings::{self, Nearing};
use crate::store::{circumstances, nudges};

/// Meetings of one round, and so of one transaction.
const MAX_MEETINGS: i64 = 200;

/// The kind of its text.
const NUDGE_TYPE: &str = "meeting_reminder";

/// Makes reminders of what is near; returns of how many meetings.
pub(crate) async fn round(state: &State) -> Result<u64, Error> {
    let tx = state.db.begin_worker().await?;
    let now = state.clock.fixed();
    let near = meetings::claim_nearing(&tx, now, MAX_MEETINGS).await?;
    if near.is_empty() {
        tx.rollback().await?;
        return Ok(0);
    }
    let clients: Vec<_> = near.iter().map(|one| (one.user_id.as_str(), one.now)).collect();
    let (circumstances, templates) = circumstances::read(&tx, &clients, now).await?;
    let reminders: Vec<nudges::Insert> = near
        .iter()
        .filter_map(|one| reminder(one, circumstances.get(&one.user_id)?, &templates))
        .collect();
    let ids = nudges::insert(&tx, &reminders).await?;
    let events = reminders.iter().zip(ids);
    let events = events.map(|(row, nudge_id)| nudge_changed(nudge::CREATED, nudge_id, row));
    state.outbox.enqueue(&tx, events.collect::<Result<_, _>>()?);
    tx.commit().await?;
    Ok(near.len() as u64)
}

/// `None` for a client who wants no nudges, or whose hours begin too late for one. No limit is in its way: the client agreed
/// to the meeting.
fn reminder(near: &Nearing, of: &Circumstances, templates: &Templates) -> Option<nudges::Insert> {
    let send_after = quiet::earliest_send(near.now, of.zone, &of.hours)?;
    (send_after < near.scheduled_time).then_some(())?;
    Some(nudges::Insert {
        user_id: near.user_id.clone(),
        nudge_type: NUDGE_TYPE.to_owned(),
        nudge_message: templates.text(NUDGE_TYPE, &of.reader)?.message,
        risk_level: near.label,
        source: Source::Meeting,
        created_at: near.now,
        send_after,
        expires_at: near.scheduled_time,
        channel: of.channel?,
        withheld_reason: None,
        dedup_key: None,
        recommendation_id: None,
    })
}
