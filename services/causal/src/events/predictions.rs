//! `social.prediction.recorded`: a client's risk a day.

use bus::HandleError;
use common::contracts::PredictionRecorded;
use common::{Event, Probability};
use db::Tx;

use crate::store::daily_risk::{self, Score};

pub(super) async fn recorded(tx: &Tx, events: &[Event]) -> Result<(), HandleError> {
    let predictions: Vec<PredictionRecorded> = bus::read(events)?;
    let scores: Vec<Score<'_>> = predictions.iter().map(score).collect::<Result<_, _>>()?;
    daily_risk::add(tx, &scores).await?;
    Ok(())
}

fn score(prediction: &PredictionRecorded) -> Result<Score<'_>, HandleError> {
    let risk_score = Probability::new(prediction.risk_score)
        .ok_or_else(|| HandleError::other("risk_score is not in 0..=1"))?;
    Ok(Score {
        user_id: &prediction.user_id,
        message_timestamp: prediction.message_timestamp,
        risk_score,
    })
}
