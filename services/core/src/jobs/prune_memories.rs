//! Memories that have expired go, and of a client's tasks those beyond the quota; what waits for an embedding waits no more
//! when the client's consent has run out.

use crate::error::Error;
use crate::state::State;
use crate::store::{memories, memory_embeddings};

/// Rows of each sort that one round removes.
const MAX_PRUNED: i64 = 1_000;

/// One round; how many went. What a correction takes with it is not counted.
pub(crate) async fn round(state: &State) -> Result<u64, Error> {
    let tx = state.db.begin_worker().await?;
    let expired = tx.execute(memories::PRUNE_EXPIRED, &[&MAX_PRUNED]).await?;
    let quota = state.task_memories_per_user;
    let beyond = tx.execute(memories::PRUNE_TASKS, &[&MAX_PRUNED, &quota]).await?;
    let unwanted = tx
        .execute(memory_embeddings::FORGET_UNWANTED, &[&MAX_PRUNED])
        .await?;
    tx.commit().await?;
    if expired + beyond > 0 {
        tracing::info!(expired, beyond, "memories were pruned");
    }
    Ok(expired + beyond + unwanted)
}
