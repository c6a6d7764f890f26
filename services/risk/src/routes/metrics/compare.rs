//! Two versions over the same clients and days.

use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, get};
use tokio::task::spawn_blocking;
use web::{Caller, NOBODY_ELSE, Params, Problem, Query, ReadQuery};

use super::super::names::{Name, a_name};
use super::view::ComparisonView;
use super::{Days, MAX_PREDICTIONS, READ, id, permit, subject, too_many};
use crate::domain::metrics::bootstrap::{self, Plan};
use crate::domain::metrics::pairing::pairs;
use crate::error::Error;
use crate::ops::measure::{most, span};
use crate::state::State;
use crate::store::counts::VersionId;
use crate::store::courses;

/// Seed of the draws, unless the caller names one.
const SEED: u64 = 1;

/// Which version to compare with, and how.
struct Against {
    /// Asked for in the handler, so that who may not compare is told so first.
    with: Option<String>,
    seed: u64,
    days: Days,
}

impl ReadQuery for Against {
    fn read(params: &mut Params) -> Option<Self> {
        let with = params.optional("with", a_name);
        let seed = params.integer("seed", 0..=i64::from(u32::MAX));
        let days = Days::read(params);
        Some(Self {
            with: with?,
            seed: seed?.and_then(|seed| u64::try_from(seed).ok()).unwrap_or(SEED),
            days: days?,
        })
    }
}

/// Compare two versions of a model over the same clients and days. A difference is the other version's measure less this
/// one's, with an interval by drawing clients anew; the seed repeats it.
#[utoipa::path(
    tag = "metrics",
    params(
        ("model_name" = String, Path), ("version" = String, Path),
        ("with" = String, Query, description = "The other version"),
        ("window" = Option<i64>, Query, description = "Days, 1 to 366; by default 30"),
        ("until" = Option<String>, Query, description = "The last of them, UTC; by default today"),
        ("seed" = Option<i64>, Query, description = "Of the draws; by default 1")
    ),
    responses((status = 200, body = ComparisonView)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/models/{model_name}/{version}/compare")]
pub(crate) async fn find(
    state: Data<State>,
    path: Path<(Name, Name)>,
    Query(against): Query<Against>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let of = id(path.into_inner());
    let other = VersionId {
        version: against
            .with
            .ok_or_else(|| Problem::invalid_field("?with", "is required"))?,
        ..of.clone()
    };
    let first = subject(&state, &caller, &of).await?;
    let second = match subject(&state, &caller, &other).await {
        Err(Error::NotFound) => return Err(no_such_version().into()),
        found => found?,
    };
    let window = against.days.window(&state);
    let _permit = permit(&state)?;
    let tx = state.db.begin_worker().await?;
    let ours = courses::labelled(&tx, &of, span(window), most(MAX_PREDICTIONS)).await?;
    let theirs = courses::labelled(&tx, &other, span(window), most(MAX_PREDICTIONS)).await?;
    tx.rollback().await?;
    if ours.len().max(theirs.len()) > MAX_PREDICTIONS {
        return Err(too_many().into());
    }
    let (alerts, seed) = ((first.alert, second.alert), against.seed);
    let compared = spawn_blocking(move || {
        let pairs = pairs(&ours, &theirs);
        let plan = Plan::for_predictions(pairs.len(), seed)?;
        let found = bootstrap::differences(&pairs, alerts, plan).ok()?;
        Some((pairs.len(), plan, found))
    });
    let compared = compared.await?;
    let compared = compared.ok_or_else(too_many)?;
    let view = ComparisonView::new((of, other), window, &compared);
    Ok(caller.disclose(NOBODY_ELSE, &view).await?)
}

fn no_such_version() -> Problem {
    Problem::invalid_field("?with", "is no version of this model that you may read")
}
