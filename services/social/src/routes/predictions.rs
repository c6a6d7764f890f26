//! What pipelines say about messages.

use actix_web::web::{Data, Path, ThinData};
use actix_web::{HttpResponse, get, post};
use chrono::{DateTime, Utc};
use common::{PrincipalKind, Probability};
use serde::Serialize;
use utoipa::ToSchema;
use web::{
    Allowed, Answer, Caller, CursorKey, Fault, FieldError, Fields, Granted, Identifier, Item, Newest, Page,
    Paging, Params, Problem, Query, Read, ReadQuery, Value, Write, read,
};

use crate::app::State;
use crate::domain::prediction::{NewPrediction, Scores};
use crate::error::Error;
use crate::ops::record::{Outcome, Recorded, lookups, message_ids, record as record_all};
use crate::store::predictions::{self, Prediction};

const RECORD: Allowed = Allowed(&[PrincipalKind::Pipeline]);
const READ: Allowed = Allowed(&[PrincipalKind::Counselor, PrincipalKind::Supervisor]);

const MAX_BATCH_ITEMS: usize = 1_000;
const MAX_BATCH_BYTES: usize = 1024 * 1024;
const MAX_MODEL_VERSION_BYTES: usize = 50;

/// A pipeline's scores of one message, each in 0..=1, rounded to six decimals.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "describes the body; NewPrediction is what it is read into"
)]
struct PredictionBody {
    p_craving: f64,
    p_relapse: f64,
    p_negative_mood: f64,
    p_neutral: f64,
    p_toxic: f64,
    p_isolation: f64,
    /// By default the greatest of p_craving, p_relapse and 0.7 of p_negative_mood.
    risk_score: Option<f64>,
    /// Which model; with the message it is the natural key of the prediction.
    #[schema(max_length = 50, example = "vader-lexicon-1.0.0")]
    model_version: String,
    /// When the model said so; by default now.
    timestamp: Option<DateTime<Utc>>,
}

/// The scores of one message of a batch.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "describes the body; NewPrediction is what it is read into"
)]
struct PredictionItem {
    message_id: i64,
    #[serde(flatten)]
    scores: PredictionBody,
}

/// Up to 1,000 predictions.
#[derive(ToSchema)]
struct PredictionBatch {
    #[schema(value_type = Vec<PredictionItem>, max_items = 1000)]
    items: Vec<Item<NewPrediction>>,
}

/// A prediction whose message the path names.
struct Scored(NewPrediction);

impl Read for Scored {
    const MAX_BODY_BYTES: usize = 16 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        // The path fills in the message.
        read_prediction(fields, Some(0)).map(Self)
    }
}

impl Read for NewPrediction {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let message_id = fields.required("message_id", read::integer(1..=i64::MAX));
        read_prediction(fields, message_id)
    }
}

impl Read for PredictionBatch {
    const MAX_BODY_BYTES: usize = MAX_BATCH_BYTES;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self {
            items: fields.items("items", 1..=MAX_BATCH_ITEMS)?,
        })
    }
}

fn read_prediction(fields: &mut Fields<'_>, message_id: Option<i64>) -> Option<NewPrediction> {
    let p_craving = fields.required("p_craving", probability);
    let p_relapse = fields.required("p_relapse", probability);
    let p_negative_mood = fields.required("p_negative_mood", probability);
    let p_neutral = fields.required("p_neutral", probability);
    let p_toxic = fields.required("p_toxic", probability);
    let p_isolation = fields.required("p_isolation", probability);
    let risk_score = fields.optional("risk_score", probability);
    let model_version = fields.required("model_version", read::text(1..=MAX_MODEL_VERSION_BYTES));
    let timestamp = fields.optional("timestamp", read::timestamp);
    let scores = Scores {
        p_craving: p_craving?,
        p_relapse: p_relapse?,
        p_negative_mood: p_negative_mood?,
        p_neutral: p_neutral?,
        p_toxic: p_toxic?,
        p_isolation: p_isolation?,
    };
    Some(NewPrediction {
        message_id: message_id?,
        model_version: model_version?,
        timestamp: timestamp?,
        scores,
        risk_score: risk_score?.unwrap_or_else(|| scores.default_risk_score()),
        traceparent: None,
    })
}

fn probability(value: &Value) -> Result<Probability, Fault> {
    let number = read::number(value)?;
    Probability::new(number).ok_or_else(|| "must be a number from 0 to 1".into())
}

/// What a stored prediction led to.
#[derive(Serialize, ToSchema)]
struct RecordedBody {
    /// The prediction.
    id: i64,
    message_id: i64,
    /// As given, or as derived from the scores.
    risk_score: f64,
    profile: ProfileAfter,
    /// The episode that this opened or joined.
    escalation_id: Option<i64>,
    /// What the rules decided on this occasion, also to do nothing.
    actions: Vec<ActionBody>,
}

/// The client's profile after the prediction.
#[derive(Serialize, ToSchema)]
struct ProfileAfter {
    user_id: String,
    #[schema(value_type = String, example = "MODERATE_RISK")]
    current_risk_label: common::RiskLabel,
    risk_label_since: DateTime<Utc>,
    #[schema(value_type = String, example = "stable")]
    risk_trend: common::Trend,
    #[schema(value_type = String, example = "stable")]
    isolation_trend: common::Trend,
    short_avg_risk_score: Option<f64>,
    short_max_risk_score: Option<f64>,
    policy_version: String,
    computed_at: DateTime<Utc>,
}

/// One decision.
#[derive(Serialize, ToSchema)]
struct ActionBody {
    action_id: i64,
    /// nudge, escalation, meeting, family_notice or none.
    action_type: &'static str,
    chosen: String,
    /// done, pending or withheld.
    status: &'static str,
    withheld_reason: Option<&'static str>,
}

impl RecordedBody {
    fn new(message_id: i64, recorded: Recorded) -> Self {
        let profile = recorded.profile;
        let actions = recorded.actions.into_iter().map(|action| ActionBody {
            action_id: action.action_id,
            action_type: action.action_type,
            chosen: action.chosen,
            status: action.status,
            withheld_reason: action.withheld_reason,
        });
        Self {
            id: recorded.id,
            message_id,
            risk_score: recorded.risk_score.as_f64(),
            escalation_id: recorded.escalation_id,
            actions: actions.collect(),
            profile: ProfileAfter {
                current_risk_label: profile.label,
                risk_label_since: profile.label_since,
                risk_trend: profile.risk_trend,
                isolation_trend: profile.isolation_trend,
                short_avg_risk_score: profile.windows.short.mean_risk(),
                short_max_risk_score: profile.windows.short_max.map(Probability::as_f64),
                computed_at: profile.windows.now,
                policy_version: profile.policy_version,
                user_id: profile.user_id,
            },
        }
    }
}

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
    message_id: Path<i64>,
    request: Write<Scored>,
) -> Result<HttpResponse, Error> {
    let Granted {
        caller,
        body: Scored(scored),
        key,
    } = request.allow(&RECORD)?;
    let traceparent = telemetry::current_traceparent();
    let prediction = NewPrediction {
        message_id: *message_id,
        traceparent,
        ..scored
    };
    if key.is_none() {
        let outcome = state.gather.record(prediction).await;
        return Ok(answer_one(*message_id, outcome)?.into_response());
    }
    // With a key the answer is stored in the transaction of the write, which is therefore its own.
    let given = [prediction];
    let tx = state.db.begin_worker().await?;
    let response = web::write(tx, &caller, key, async |tx| {
        let found = tx.pipeline(&lookups(&[&message_ids(&given)])).await?;
        let outcomes = record_all(tx, &state.outbox, state.clock.fixed(), &given, &found).await?;
        answer_one(
            *message_id,
            outcomes.into_iter().next().unwrap_or(Err(Error::NotFound)),
        )
    })
    .await?;
    state.outbox.wake();
    Ok(response)
}

fn answer_one(message_id: i64, outcome: Outcome) -> Result<Answer, Error> {
    let recorded = outcome?;
    let (is_new, location) = (
        recorded.is_new,
        format!("/v1/users/{}/risk-profile", recorded.profile.user_id),
    );
    let body = RecordedBody::new(message_id, recorded);
    Ok(if is_new {
        Answer::created(location, &body)?
    } else {
        Answer::ok(&body)?
    })
}

/// Whether the good ones are stored although others are bad.
struct BatchQuery {
    partial: bool,
}

impl ReadQuery for BatchQuery {
    fn read(params: &mut Params) -> Option<Self> {
        Some(Self {
            partial: params.flag("partial")?,
        })
    }
}

/// What became of each item, in the order of the request.
#[derive(Serialize, ToSchema)]
struct BatchAnswer {
    items: Vec<BatchItem>,
}

/// A stored prediction, or with `?partial=true` why it was not stored.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum BatchItem {
    Recorded(RecordedBody),
    Refused {
        #[schema(value_type = web::ProblemDetails)]
        problem: Problem,
    },
}

/// Store up to 1,000 predictions in one transaction: all or none, or with `?partial=true` the good ones.
#[utoipa::path(
    tag = "predictions",
    request_body = PredictionBatch,
    params(("partial" = Option<bool>, Query, description = "Store the good ones although others are bad")),
    responses((status = 200, body = BatchAnswer)),
    extensions(("x-principals" = json!(RECORD)))
)]
#[post("/v1/predictions:batch")]
pub(crate) async fn record_batch(
    state: Data<State>,
    Query(query): Query<BatchQuery>,
    request: Write<PredictionBatch>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&RECORD)?;
    let items = if query.partial {
        body.items
    } else {
        web::all(body.items)?.into_iter().map(Ok).collect()
    };
    let given: Vec<NewPrediction> = items
        .iter()
        .filter_map(|item| item.as_ref().ok().cloned())
        .collect();
    let tx = state.db.begin_worker().await?;
    let response = web::write(tx, &caller, key, async |tx| {
        let found = tx.pipeline(&lookups(&[&message_ids(&given)])).await?;
        let outcomes = record_all(tx, &state.outbox, state.clock.fixed(), &given, &found).await?;
        if !query.partial {
            refuse_all(&outcomes)?;
        }
        Ok::<_, Error>(Answer::ok(&batch_answer(items, outcomes))?)
    })
    .await?;
    state.outbox.wake();
    Ok(response)
}

/// All or nothing: one refusal names every bad index.
fn refuse_all(outcomes: &[Outcome]) -> Result<(), Problem> {
    let errors: Vec<FieldError> = outcomes
        .iter()
        .enumerate()
        .filter_map(|(index, outcome)| {
            let problem = outcome.as_ref().err()?.problem();
            let detail = match problem.errors() {
                [] => problem.detail().to_owned(),
                [first, ..] => first.detail.clone(),
            };
            Some(FieldError {
                pointer: format!("/items/{index}/message_id"),
                detail,
            })
        })
        .collect();
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Problem::invalid(errors))
    }
}

fn batch_answer(items: Vec<Item<NewPrediction>>, outcomes: Vec<Outcome>) -> BatchAnswer {
    let mut outcomes = outcomes.into_iter();
    let answered = items.into_iter().map(|item| match item {
        Err(faults) => BatchItem::Refused {
            problem: Problem::from(faults),
        },
        Ok(prediction) => match outcomes.next().unwrap_or(Err(Error::NotFound)) {
            Ok(recorded) => BatchItem::Recorded(RecordedBody::new(prediction.message_id, recorded)),
            Err(error) => BatchItem::Refused {
                problem: error.problem(),
            },
        },
    });
    BatchAnswer {
        items: answered.collect(),
    }
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
    let listed = format!("predictions of {}", *user_id);
    let Newest(at, id) = cursors.open(&listed, &caller, &paging)?.unwrap_or_default();
    let actor = caller.actor_for(&user_id)?;
    super::profiles::must_see(&state, &actor, &user_id).await?;
    let limit = paging.limit + 1;
    let rows = state
        .db
        .read(&actor, predictions::LIST, &[&&**user_id, &at, &id, &limit])
        .await?;
    let items = rows
        .iter()
        .map(|row| Ok(predictions::from_row(row)?.into()))
        .collect::<Result<Vec<PredictionView>, db::Error>>()?;
    let page = Page::cut(items, paging.limit, |last| {
        cursors.seal(&listed, &caller, &Newest(last.timestamp, last.id))
    });
    Ok(HttpResponse::Ok().json(page))
}
