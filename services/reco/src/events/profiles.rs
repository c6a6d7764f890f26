//! `social.profile.changed`: a client's latest label and trend.

use bus::HandleError;
use common::Event;
use common::contracts::ProfileChanged;
use db::Tx;

use crate::store::client_state;

pub(super) async fn changed(tx: &Tx, events: &[Event]) -> Result<(), HandleError> {
    let profiles: Vec<ProfileChanged> = bus::read(events)?;
    client_state::save(tx, &profiles).await?;
    Ok(())
}
