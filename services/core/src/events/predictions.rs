//! `social.prediction.recorded`: the message has its score, its lease is over for good.

use bus::HandleError;
use common::Event;
use common::contracts::PredictionRecorded;
use db::Tx;

use crate::store::scoring;

pub(super) async fn recorded(tx: &Tx, events: &[Event]) -> Result<(), HandleError> {
    let predictions: Vec<PredictionRecorded> = bus::read(events)?;
    let scored: Vec<(i64, &str)> = predictions
        .iter()
        .map(|scored| (scored.message_id, scored.model_version.as_str()))
        .collect();
    scoring::mark_scored(tx, &scored).await?;
    Ok(())
}
