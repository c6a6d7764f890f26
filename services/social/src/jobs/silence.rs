//! Contacts with clients that were expected and did not come: each opens an episode of silence.

use crate::domain::silence::Missed;
use crate::error::Error;
use crate::ops::raise::raise;
use crate::state::State;
use crate::store::expected::{self, Looked};
use crate::store::profiles;

/// Clients of one round, and so of one transaction.
const MAX_CLIENTS: i64 = 100;

/// Escalates what was missed; returns of how many clients.
pub(crate) async fn round(state: &State) -> Result<u64, Error> {
    let tx = state.db.begin_worker().await?;
    let mut looked = Looked {
        now: state.clock.fixed(),
        grace_hours: state.silence_hours,
        user_ids: None,
        limit: MAX_CLIENTS,
    };
    let found = expected::missed(&tx, &looked).await?;
    if found.is_empty() {
        tx.rollback().await?;
        return Ok(0);
    }
    let user_ids: Vec<&str> = found.iter().map(|missed| missed.user_id.as_str()).collect();
    profiles::lock(&tx, &user_ids).await?;
    // Once more behind the lock: of two that look at once, the second finds what the first has told.
    looked.user_ids = Some(&user_ids);
    let missed = expected::missed(&tx, &looked).await?;
    let triggers: Vec<_> = missed.iter().map(Missed::trigger).collect();
    let raised = raise(&tx, &triggers, looked.now).await?;
    state.outbox.enqueue(&tx, raised.events);
    tx.commit().await?;
    Ok(missed.len() as u64)
}
