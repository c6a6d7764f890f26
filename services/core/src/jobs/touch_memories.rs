//! Which memories were read or found is written down in one statement for all of them.

use crate::error::Error;
use crate::state::State;
use crate::store::memories;

/// One round. Never more than one is needed.
pub(crate) async fn round(state: &State) -> Result<u64, Error> {
    let touched = state.touched.take();
    if !touched.is_empty() {
        state.db.worker_query(memories::TOUCH, &[&touched]).await?;
    }
    Ok(0)
}
