//! Codes to addresses that their owners have named: whoever sends one back is reached there.

use chrono::Utc;
use futures::future::join_all;

use crate::domain::contact::Code;
use crate::error::Error;
use crate::state::State;
use crate::store::contact_methods::{self, CodeDue};

/// Codes of one round, sent at a time.
const MAX_CODES: i64 = 20;
/// After so many seconds a code that was not taken is another one's turn: longer than any sending takes.
const LEASE_SECONDS: i64 = 60;

/// Sends what is due; returns how many were tried. A code is stored before it leaves, by its hash, and so every try has a
/// new one.
pub(crate) async fn round(state: &State) -> Result<u64, Error> {
    let now = state.clock.fixed();
    let tx = state.db.begin_worker().await?;
    let due = contact_methods::claim_codes(&tx, now, (MAX_CODES, LEASE_SECONDS)).await?;
    let codes: Vec<Code> = due.iter().map(|_| Code::of(rand::random())).collect();
    let ids: Vec<i64> = due.iter().map(|one| one.contact_method_id).collect();
    let hashes: Vec<Vec<u8>> = codes.iter().zip(&ids).map(|(code, id)| code.hash(*id)).collect();
    contact_methods::give_codes(&tx, &ids, &hashes, now).await?;
    tx.commit().await?;
    let sending: Vec<_> = due
        .iter()
        .zip(&codes)
        .map(|(due, code)| send(state, due, code))
        .collect();
    let errors = join_all(sending).await;
    let tx = state.db.begin_worker().await?;
    contact_methods::settle_codes(&tx, &due, &errors).await?;
    tx.commit().await?;
    Ok(due.len() as u64)
}

/// Why the code was not taken, if it was not.
async fn send(state: &State, due: &CodeDue, code: &Code) -> Option<String> {
    let (Some(paging), Some(place)) = (&state.paging, &due.place) else {
        return Some("nothing is sent outside the app: it is not configured".to_owned());
    };
    let id = format!("code-{}-{}", due.contact_method_id, due.sends);
    let sent = paging.code(place, code, (&id, Utc::now())).await;
    sent.err().map(|failed| failed.words)
}
