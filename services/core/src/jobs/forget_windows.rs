//! Short-term memory of people who are gone goes. An erasure takes it along; this finds what was written at that moment,
//! and what nobody could reach because Redis was away.

use crate::error::Error;
use crate::state::State;
use crate::store::users;

/// One round through all windows; how many went.
pub(crate) async fn round(state: &State) -> Result<u64, Error> {
    let (mut cursor, mut gone) = (0, 0);
    loop {
        // While Redis is away there is nothing to look at, and the next round looks again.
        let Ok((next, windows)) = state.short_term.people(cursor).await else {
            return Ok(gone);
        };
        if !windows.is_empty() {
            let people: Vec<&str> = windows.iter().map(|(_, person)| person.as_str()).collect();
            let there = users::ids(&state.db.worker_query(users::EXISTING, &[&people]).await?)?;
            let lost = windows.iter().filter(|(_, person)| !there.contains(person));
            let keys: Vec<String> = lost.map(|(key, _)| key.clone()).collect();
            if !keys.is_empty() {
                gone += state.short_term.delete(&keys).await.unwrap_or_default();
            }
        }
        if next == 0 {
            return Ok(gone);
        }
        cursor = next;
    }
}
