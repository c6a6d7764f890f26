//! `core.user.created`: a client has a profile from the first moment on, labelled UNKNOWN.

use std::sync::Arc;

use bus::HandleError;
use common::Event;
use common::contracts::UserCreated;
use db::Tx;

use crate::state::State;
use crate::store::profiles;

pub(super) async fn created(state: &Arc<State>, tx: &Tx, events: &[Event]) -> Result<(), HandleError> {
    let users: Vec<UserCreated> = bus::read(events)?;
    let ids: Vec<&str> = users.iter().map(|user| user.user_id.as_str()).collect();
    profiles::create(tx, &ids, state.clock.fixed()).await?;
    Ok(())
}
