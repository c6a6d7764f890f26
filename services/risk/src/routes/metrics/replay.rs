//! Another alert threshold over the past.

use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, get};
use common::Probability;
use tokio::task::spawn_blocking;
use web::{Caller, NOBODY_ELSE, Params, Problem, Query, ReadQuery};

use super::super::names::Name;
use super::view::ReplayView;
use super::{Days, MAX_PREDICTIONS, READ, id, permit, subject, too_many};
use crate::domain::replay;
use crate::error::Error;
use crate::ops::measure::Past;
use crate::state::State;

/// A threshold to be tried.
struct Candidate {
    /// Asked for in the handler, so that who may not replay is told so first.
    threshold: Option<Probability>,
    days: Days,
}

impl ReadQuery for Candidate {
    fn read(params: &mut Params) -> Option<Self> {
        let threshold = params.optional("threshold", |value| {
            let number = value.as_text().and_then(|text| text.parse::<f64>().ok());
            let threshold = number.and_then(Probability::new).filter(|p| p.micros() > 0);
            threshold.ok_or("must be a number over 0 and up to 1")
        });
        let days = Days::read(params);
        Some(Self {
            threshold: threshold?,
            days: days?,
        })
    }
}

/// Replay another alert threshold over the past: how many more or fewer pages, which relapses it would have caught, and how
/// much earlier. A page is a client whose score comes to reach the threshold, once for each episode of seven days.
#[utoipa::path(
    tag = "metrics",
    params(
        ("model_name" = String, Path), ("version" = String, Path),
        ("threshold" = f64, Query, description = "The candidate, over 0 and up to 1"),
        ("window" = Option<i64>, Query, description = "Days, 1 to 366; by default 30"),
        ("until" = Option<String>, Query, description = "The last of them, UTC; by default today")
    ),
    responses((status = 200, body = ReplayView)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/models/{model_name}/{version}/replay")]
pub(crate) async fn find(
    state: Data<State>,
    path: Path<(Name, Name)>,
    Query(candidate): Query<Candidate>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let required = || Problem::invalid_field("?threshold", "is required");
    let threshold = candidate.threshold.ok_or_else(required)?;
    let of = id(path.into_inner());
    let subject = subject(&state, &caller, &of).await?;
    let window = candidate.days.window(&state);
    let _permit = permit(&state)?;
    let tx = state.db.begin_worker().await?;
    let past = Past::read(&tx, &of, window, MAX_PREDICTIONS).await?;
    tx.rollback().await?;
    let past = past.ok_or_else(too_many)?;
    let thresholds = (subject.alert, threshold);
    let found =
        spawn_blocking(move || replay::compare(&past.courses, thresholds.0, thresholds.1, past.rules));
    let found = found.await?;
    let view = ReplayView::new(of, window, thresholds, &found);
    Ok(caller.disclose(NOBODY_ELSE, &view).await?)
}
