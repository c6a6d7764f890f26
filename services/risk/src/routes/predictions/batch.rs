//! Up to a thousand predictions in one transaction.

use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use serde::Serialize;
use utoipa::ToSchema;
use web::{Answer, FieldError, Fields, Granted, Item, Params, Problem, Query, Read, ReadQuery, Write};

use super::RECORD;
use super::body::{PredictionBody, RecordedBody};
use crate::domain::prediction::NewPrediction;
use crate::error::Error;
use crate::ops::record::{Outcome, record};
use crate::state::State;

const MAX_BATCH_ITEMS: usize = 1_000;
/// A thousand predictions with 500 features and 10 contributions each.
const MAX_BATCH_BYTES: usize = 16 * 1024 * 1024;

/// Up to 1,000 predictions.
#[derive(ToSchema)]
struct PredictionBatch {
    #[schema(value_type = Vec<PredictionBody>, max_items = 1000)]
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
    let (slots, given) = apart(items);
    let _at_work = state.batches.acquire().await.map_err(|_| Error::Busy)?;
    let now = state.clock.fixed();
    let tx = state.db.begin_worker().await?;
    web::write(tx, &caller, key, async |tx| {
        let outcomes = record(tx, &state.outbox, now, &given).await?;
        if !query.partial {
            refuse_all(&outcomes)?;
        }
        let people: Vec<String> = outcomes
            .iter()
            .flatten()
            .map(|recorded| recorded.user_id.clone())
            .collect();
        Ok::<_, Error>(Answer::ok(&batch_answer(slots, &given, outcomes))?.about(people))
    })
    .await
}

/// The good items, and for each place of the request what is wrong with it, if anything.
fn apart(items: Vec<Item<NewPrediction>>) -> (Vec<Option<Problem>>, Vec<NewPrediction>) {
    let mut given = Vec::with_capacity(items.len());
    let slots = items
        .into_iter()
        .map(|item| match item {
            Ok(prediction) => {
                given.push(prediction);
                None
            }
            Err(faults) => Some(Problem::from(faults)),
        })
        .collect();
    (slots, given)
}

/// All or nothing: one refusal names every bad index, and what is wrong there.
fn refuse_all(outcomes: &[Outcome]) -> Result<(), Problem> {
    let errors: Vec<FieldError> = outcomes
        .iter()
        .enumerate()
        .filter_map(|(index, outcome)| Some(faults(index, outcome.as_ref().err()?)))
        .flatten()
        .collect();
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Problem::invalid(errors))
    }
}

/// What is wrong with one item, as the whole batch points at it.
fn faults(index: usize, error: &Error) -> Vec<FieldError> {
    let problem = error.problem();
    let at = format!("/items/{index}");
    if problem.errors().is_empty() {
        let place = match error {
            Error::NoClient => "/user_id",
            Error::Retired => "/model_version",
            Error::Problem(_)
            | Error::Db(_)
            | Error::Encode(_)
            | Error::Work(_)
            | Error::NotFound
            | Error::SnapshotDiffers
            | Error::PredictionDiffers
            | Error::OutcomeDiffers
            | Error::Busy => "",
        };
        return vec![FieldError {
            pointer: format!("{at}{place}"),
            detail: problem.detail().to_owned(),
        }];
    }
    let errors = problem.errors().iter().map(|error| FieldError {
        pointer: format!("{at}{}", error.pointer),
        detail: error.detail.clone(),
    });
    errors.collect()
}

fn batch_answer(slots: Vec<Option<Problem>>, given: &[NewPrediction], outcomes: Vec<Outcome>) -> BatchAnswer {
    let mut decided = given.iter().zip(outcomes);
    let items = slots.into_iter().enumerate().map(|(index, slot)| {
        if let Some(problem) = slot {
            return BatchItem::Refused { problem };
        }
        match decided.next() {
            Some((given, Ok(recorded))) => BatchItem::Recorded(RecordedBody::new(given, recorded)),
            Some((_, Err(error))) => BatchItem::Refused {
                problem: refused(index, &error),
            },
            None => BatchItem::Refused {
                problem: Problem::not_found(),
            },
        }
    });
    BatchAnswer {
        items: items.collect(),
    }
}

/// The problem of one item, whose faults are those of the request.
fn refused(index: usize, error: &Error) -> Problem {
    let problem = error.problem();
    if problem.errors().is_empty() {
        problem
    } else {
        problem.with_errors(faults(index, error))
    }
}
