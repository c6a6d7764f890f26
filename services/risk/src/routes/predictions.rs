//! What models say of clients.

pub(super) mod batch;
mod body;
pub(super) mod reading;

use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use common::PrincipalKind;
use web::{Allowed, Answer, Granted, Write};

use self::body::{PredictionBody, RecordedBody};
use crate::domain::prediction::NewPrediction;
use crate::error::Error;
use crate::ops::record::record as record_all;
use crate::state::State;

const RECORD: Allowed = Allowed(&[PrincipalKind::Pipeline]);

/// Store what a version of a model says of a client, of a snapshot that stands or of features that come with it, and why.
/// The same again is 200; something else of the same snapshot and version 409.
#[utoipa::path(
    tag = "predictions",
    request_body = PredictionBody,
    responses((status = 201, body = RecordedBody), (status = 200, description = "It stands already", body = RecordedBody)),
    extensions(("x-principals" = json!(RECORD)))
)]
#[post("/v1/predictions")]
pub(crate) async fn record(state: Data<State>, request: Write<NewPrediction>) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&RECORD)?;
    let _at_work = state.singles.acquire().await.map_err(|_| Error::Busy)?;
    let given = [body];
    let now = state.clock.fixed();
    let tx = state.db.begin_worker().await?;
    web::write(tx, &caller, key, async |tx| {
        let outcomes = record_all(tx, &state.outbox, now, &given).await?;
        let [given] = &given;
        let recorded = outcomes.into_iter().next().unwrap_or(Err(Error::NoClient))?;
        let (is_new, client) = (recorded.is_new, recorded.user_id.clone());
        let location = format!("/v1/predictions/{}", recorded.prediction_id);
        let body = RecordedBody::new(given, recorded);
        Ok::<_, Error>(Answer::stands(is_new, location, &body)?.about([client]))
    })
    .await
}
