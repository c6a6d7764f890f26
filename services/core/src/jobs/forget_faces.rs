//! Faces go when the consent to them runs out; a revocation takes them along by itself.

use crate::error::Error;
use crate::state::State;
use crate::store::face_embeddings;

/// Faces that go in one round.
const MAX_FACES: i64 = 1_000;

/// One round; how many faces went.
pub(crate) async fn round(state: &State) -> Result<u64, Error> {
    let tx = state.db.begin_worker().await?;
    let forgotten = face_embeddings::delete_unconsented(&tx, MAX_FACES).await?;
    tx.commit().await?;
    Ok(forgotten)
}
