//! Up to a thousand predictions in one transaction.

use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use serde::Serialize;
use utoipa::ToSchema;
use web::{Answer, FieldError, Fields, Granted, Item, Params, Problem, Query, Read, ReadQuery, Write};

use super::RECORD;
use super::body::{PredictionItem, RecordedBody};
use crate::domain::prediction::NewPrediction;
use crate::error::Error;
use crate::ops::record::{Opening, Outcome, record};
use crate::state::State;

const MAX_BATCH_ITEMS: usize = 1_000;
const MAX_BATCH_BYTES: usize = 1024 * 1024;

/// Up to 1,000 predictions.
#[derive(ToSchema)]
struct PredictionBatch {
    #[schema(value_type = Vec<PredictionItem>, max_items = 1000)]
    items: Vec<Item<NewPrediction>>,
}

impl Read for PredictionBatch {
    const MAX_BODY_BYTES: usize = MAX_BATCH_BYTES;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self {
            items: fields.items("items", 1..=MAX_BATCH_ITEMS)?,
        })
    }
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
    let _at_work = state.batches.acquire().await.map_err(|_| Error::Busy)?;
    let now = state.clock.fixed();
    let tx = state.db.begin_worker().await?;
    web::write(tx, &caller, key, async |tx| {
        let opened = Opening::new(&given, now).run(tx).await?;
        let outcomes = record(tx, &state.outbox, now, &given, opened).await?;
        if !query.partial {
            refuse_all(&outcomes)?;
        }
        let people: Vec<String> = outcomes
            .iter()
            .flatten()
            .map(|recorded| recorded.profile.user_id.clone())
            .collect();
        Ok::<_, Error>(Answer::ok(&batch_answer(items, outcomes))?.about(people))
    })
    .await
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
