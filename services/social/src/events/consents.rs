//! `core.consent.revoked`: what was to be shared on it is shared no more.

use std::sync::Arc;

use bus::HandleError;
use common::contracts::ConsentChanged;
use common::{ConsentPurpose, Event};
use db::Tx;

use crate::state::State;
use crate::store::family;

pub(super) async fn revoked(_: &Arc<State>, tx: &Tx, events: &[Event]) -> Result<(), HandleError> {
    let revoked: Vec<ConsentChanged> = bus::read(events)?;
    let of_family: Vec<i64> = revoked
        .iter()
        .filter(|change| change.purpose == ConsentPurpose::FamilyShare)
        .map(|change| change.consent_id)
        .collect();
    if !of_family.is_empty() {
        family::end(tx, &of_family).await?;
    }
    Ok(())
}
