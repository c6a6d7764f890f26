//! Records that are kept for years go when their term is over: disclosures after three, audit rows after six.

use crate::error::Error;
use crate::state::State;
use crate::store::{audit, disclosures};

/// Disclosures that go in one round.
const MAX_DISCLOSURES: i64 = 1_000;

/// One round; how many disclosures and months of the audit went.
pub(crate) async fn round(state: &State) -> Result<u64, Error> {
    let tx = state.db.begin_worker().await?;
    let disclosures = disclosures::delete_ended(&tx, MAX_DISCLOSURES).await?;
    tx.commit().await?;
    // By itself: it gives up where it would have to wait for those who write.
    let tx = state.db.begin_worker().await?;
    let months = audit::drop_partitions(&tx).await?;
    tx.commit().await?;
    Ok(disclosures + months)
}
