//! Nudges whose time has come are sent: in the app they can be read from then on. Those that came too late expire.

use bus::NewEvent;
use common::contracts::{NudgeChanged, nudge};

use crate::error::Error;
use crate::state::State;
use crate::store::nudges::{self, Released};

/// Nudges of one round, and so of one transaction.
const MAX_NUDGES: i64 = 500;

/// Sends or expires what is due; returns how many.
pub(crate) async fn round(state: &State) -> Result<u64, Error> {
    let tx = state.db.begin_worker().await?;
    let released = nudges::release_due(&tx, state.clock.fixed(), MAX_NUDGES).await?;
    let events: Vec<NewEvent> = released
        .iter()
        .filter(|nudge| nudge.status == "sent")
        .map(sent)
        .collect::<Result<_, _>>()?;
    state.outbox.enqueue(&tx, events);
    tx.commit().await?;
    Ok(released.len() as u64)
}

fn sent(released: &Released) -> Result<NewEvent, Error> {
    let data = NudgeChanged {
        nudge_id: released.nudge_id,
        user_id: released.user_id.clone(),
        nudge_type: released.nudge_type.clone(),
        status: released.status.clone(),
        user_response: None,
    };
    Ok(NewEvent::new(nudge::SENT, Some(released.user_id.clone()), &data)?)
}
