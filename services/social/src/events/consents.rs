//! `core.consent.revoked`: what was to be shared on it is shared no more.

use std::collections::BTreeSet;
use std::sync::Arc;

use bus::HandleError;
use common::contracts::ConsentChanged;
use common::{ConsentPurpose, Event};
use db::Tx;

use crate::ops;
use crate::state::State;

pub(super) async fn revoked(state: &Arc<State>, tx: &Tx, events: &[Event]) -> Result<(), HandleError> {
    let revoked: Vec<ConsentChanged> = bus::read(events)?;
    let to_family: Vec<&ConsentChanged> = revoked
        .iter()
        .filter(|change| change.purpose == ConsentPurpose::FamilyShare)
        .collect();
    let clients: BTreeSet<&str> = to_family.iter().map(|change| change.user_id.as_str()).collect();
    let clients: Vec<&str> = clients.into_iter().collect();
    let consents: Vec<i64> = to_family.iter().map(|change| change.consent_id).collect();
    ops::share::end(tx, &state.outbox, &clients, &consents)
        .await
        .map_err(HandleError::other)
}
