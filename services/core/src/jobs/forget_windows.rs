//! Short-term memory of threads that are gone goes. An erasure takes that of its person along; this finds what was written
//! at that moment, and what nobody could reach because Redis was away.

use crate::error::Error;
use crate::state::State;
use crate::store::threads;

/// One round through some of the windows; how many went.
pub(crate) async fn round(state: &State) -> Result<u64, Error> {
    // While Redis is away there is nothing to look at, and the next round looks again.
    let kept = state.short_term.some_kept().await.unwrap_or_default();
    if kept.is_empty() {
        return Ok(0);
    }
    let user_ids: Vec<&str> = kept.iter().map(|kept| kept.user_id.as_str()).collect();
    let roles: Vec<&str> = kept.iter().map(|kept| kept.role.as_str()).collect();
    let thread_ids: Vec<&str> = kept.iter().map(|kept| kept.thread_id.as_str()).collect();
    let rows = state
        .db
        .worker_query(threads::GONE, &[&user_ids, &roles, &thread_ids])
        .await?;
    let gone = threads::positions(&rows)?;
    let lost = gone.iter().filter_map(|position| kept.get(*position));
    state.short_term.forget(lost.map(|kept| kept.place())).await;
    Ok(u64::try_from(gone.len()).unwrap_or_default())
}
