//! What sign-ins leave behind goes when it is of no more use.

use crate::error::Error;
use crate::state::State;
use crate::store::sign_in_leftovers;

/// One round; how many rows went.
pub(crate) async fn round(state: &State) -> Result<u64, Error> {
    let tx = state.db.begin_worker().await?;
    let gone = sign_in_leftovers::delete(&tx).await?;
    tx.commit().await?;
    Ok(gone)
}
