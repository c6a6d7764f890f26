//! Who is asked about: a client whom the caller cares for.

use db::Actor;

use crate::error::Error;
use crate::state::State;
use crate::store::clients;

/// 404 for a client who is absent, not the caller's, or seen for a crisis alone: what is said of the risk of a client is not
/// for whoever happens to be on call.
pub(super) async fn must_care_for(state: &State, actor: &Actor, user_id: &str) -> Result<(), Error> {
    let seen = state.db.read(actor, clients::SEES, &[&user_id]).await?;
    let row = seen.first().ok_or(Error::NotFound)?;
    if row.try_get("in_crisis_only").map_err(db::Error::from)? {
        Err(Error::NotFound)
    } else {
        Ok(())
    }
}
