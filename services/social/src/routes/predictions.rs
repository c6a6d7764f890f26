//! What pipelines say about messages.

pub(super) mod batch;
mod body;

use actix_web::web::{Data, Path, ThinData};
use actix_web::{HttpResponse, get, post};
use chrono::{DateTime, Utc};
use common::PrincipalKind;
use serde::Serialize;
use utoipa::ToSchema;
use web::{
    Allowed, Answer, Caller, CursorKey, Granted, Id, Identifier, NOBODY_ELSE, Newest, Page, Paging, Query,
    Write,
};

use self::body::{PredictionBody, RecordedBody, Scored};
use super::of_client::OfClient;
use crate::domain::prediction::NewPrediction;
use crate::error::Error;
use crate::ops::record::{Opening, Outcome, record as record_all};
use crate::state::State;
use crate::store::predictions::{self, Prediction};

const RECORD: Allowed = Allowed(&[PrincipalKind::Pipeline]);
const READ: Allowed = Allowed(&[PrincipalKind::Counselor, PrincipalKind::Supervisor]);

/// Store the scores of one message. The same again is 200, other scores under the same model version 409.
#[utoipa::path(
    tag = "predictions",
    request_body = PredictionBody,
    responses((status = 201, body = RecordedBody), (status = 200, description = "It stands already", body = RecordedBody)),
    extensions(("x-principals" = json!(RECORD)))
)]
#[post("/v1/messages/{message_id}/predictions")]
pub(crate) async fn record(
    state: Data<State>,
    message_id: Path<Id>,
    request: Write<Scored>,
) -> Result<HttpResponse, Error> {
    let Granted {
        caller,
        body: Scored(scored),
        key,
    } = request.allow(&RECORD)?;
    let traceparent = telemetry::current_traceparent();
    let prediction = NewPrediction {
        message_id: **message_id,
        traceparent,
        ..scored
    };
    if key.is_none() {
        let outcome = state.gather.record(caller, prediction).await;
        return Ok(answer_one(**message_id, outcome)?.into_response());
    }
    // With a key the answer is stored in the transaction of the write, which is therefore its own.
    let given = [prediction];
    let now = state.clock.fixed();
    let tx = state.db.begin_worker().await?;
    web::write(tx, &caller, key, async |tx| {
        let opened = Opening::new(&given, now).run(tx).await?;
        let outcomes = record_all(tx, &state.outbox, now, &given, opened).await?;
        answer_one(
            **message_id,
            outcomes.into_iter().next().unwrap_or(Err(Error::NotFound)),
        )
    })
    .await
}

fn answer_one(message_id: i64, outcome: Outcome) -> Result<Answer, Error> {
    let recorded = outcome?;
    let is_new = recorded.is_new;
    let client = recorded.profile.user_id.clone();
    let location = format!("/v1/users/{client}/risk-profile");
    let body = RecordedBody::new(message_id, recorded);
    Ok(Answer::stands(is_new, location, &body)?.about([client]))
}

/// A prediction as counselors read it.
#[derive(Serialize, ToSchema)]
struct PredictionView {
    id: i64,
    message_id: i64,
    timestamp: DateTime<Utc>,
    message_timestamp: DateTime<Utc>,
    p_craving: f64,
    p_relapse: f64,
    p_negative_mood: f64,
    p_neutral: f64,
    p_toxic: f64,
    p_isolation: f64,
    risk_score: f64,
    #[schema(value_type = String, example = "buddy")]
    conversation_type: common::ConversationType,
    model_version: String,
    /// Whether it counts: of several versions of one message one does.
    counts: bool,
}

impl From<Prediction> for PredictionView {
    fn from(found: Prediction) -> Self {
        Self {
            id: found.id,
            message_id: found.message_id,
            timestamp: found.timestamp,
            message_timestamp: found.message_timestamp,
            p_craving: found.scores.p_craving.as_f64(),
            p_relapse: found.scores.p_relapse.as_f64(),
            p_negative_mood: found.scores.p_negative_mood.as_f64(),
            p_neutral: found.scores.p_neutral.as_f64(),
            p_toxic: found.scores.p_toxic.as_f64(),
            p_isolation: found.scores.p_isolation.as_f64(),
            risk_score: found.risk_score.as_f64(),
            conversation_type: found.conversation_type,
            model_version: found.model_version,
            counts: found.counts,
        }
    }
}

/// A client's predictions, newest first.
#[utoipa::path(
    tag = "predictions",
    params(
        ("user_id" = String, Path),
        ("limit" = Option<i64>, Query),
        ("cursor" = Option<String>, Query),
    ),
    responses((status = 200, body = Page<PredictionView>)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/users/{user_id}/predictions")]
pub(crate) async fn list(
    state: Data<State>,
    user_id: Path<Identifier>,
    Query(paging): Query<Paging>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let actor = caller.actor_for(&user_id)?;
    super::profiles::must_care_for(&state, &actor, &user_id).await?;
    let asked = OfClient {
        what: "predictions",
        user_id: &user_id,
        caller: &caller,
        actor: &actor,
        cursors: &cursors,
        paging: &paging,
    };
    let statement: (&str, db::Params<'_>) = (predictions::LIST, &[]);
    let page = asked
        .page(&state, statement, predictions::from_row, |last| {
            Newest(last.timestamp, last.id)
        })
        .await?;
    Ok(caller
        .disclose(NOBODY_ELSE, &page.map(PredictionView::from))
        .await?)
}
