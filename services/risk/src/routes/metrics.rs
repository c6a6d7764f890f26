//! How good a version is, how it compares with another, and what another threshold would have done.

pub(crate) mod compare;
pub(crate) mod replay;
mod view;

use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, get};
use chrono::{Datelike, NaiveDate, Utc};
use common::PrincipalKind;
use tokio::sync::SemaphorePermit;
use tokio::task::spawn_blocking;
use web::{Allowed, Caller, Fault, Holder, NOBODY_ELSE, Params, Problem, Query, ReadQuery, Value};

use self::view::MetricsView;
use super::names::Name;
use crate::domain::metrics::Metrics;
use crate::error::Error;
use crate::ops::measure::{Subject, window};
use crate::state::State;
use crate::store::counts::{VersionId, Window};
use crate::store::{model_metrics, model_versions};

const READ: Allowed = Allowed(&[
    PrincipalKind::Pipeline,
    PrincipalKind::Admin,
    PrincipalKind::Supervisor,
]);

/// Days of predictions, by default and at most.
const WINDOW_DAYS: u16 = 30;
const MAX_WINDOW_DAYS: i64 = 366;
/// Predictions that a comparison or a replay goes through.
const MAX_PREDICTIONS: usize = 200_000;
/// When to come back while others measure, in seconds.
const RETRY_WHEN_BUSY_SECONDS: u64 = 2;
const BUSY: &str = "Others are measuring. Ask again after the seconds in Retry-After.";

/// A window of days.
#[derive(Clone, Copy)]
struct Days {
    count: u16,
    /// The last of them; today where it is absent.
    until: Option<NaiveDate>,
}

impl ReadQuery for Days {
    fn read(params: &mut Params) -> Option<Self> {
        let count = params.integer("window", 1..=MAX_WINDOW_DAYS);
        let until = params.optional("until", day);
        let count = count?.and_then(|days| u16::try_from(days).ok());
        Some(Self {
            count: count.unwrap_or(WINDOW_DAYS),
            until: until?,
        })
    }
}

impl Days {
    fn window(self, state: &State) -> Window {
        let today = state.clock.fixed().unwrap_or_else(Utc::now).date_naive();
        window(self.count, self.until.unwrap_or(today))
    }
}

/// A day, such as 2026-11-25.
fn day(value: &Value) -> Result<NaiveDate, Fault> {
    let day = value.as_text().and_then(|text| text.parse::<NaiveDate>().ok());
    day.filter(|day| (2000..2100).contains(&day.year()))
        .ok_or_else(|| Fault::new("must be a day from 2000 to 2099, such as 2026-11-25"))
}

fn id((model_name, version): (Name, Name)) -> VersionId {
    VersionId {
        model_name: model_name.to_string(),
        version: version.to_string(),
    }
}

/// A version that the caller may measure: a pipeline its own, supervisors and admins all.
async fn subject(state: &State, caller: &Caller, id: &VersionId) -> Result<Subject, Error> {
    let params: db::Params<'_> = &[&id.model_name, &id.version];
    let rows = state.db.worker_query(model_versions::FIND, params).await?;
    let found = model_versions::from_row(rows.first().ok_or(Error::NotFound)?)?;
    let is_pipeline = caller.principal.holder == Holder::Pipeline;
    if is_pipeline && found.registered_by != caller.identity() {
        return Err(Error::NotFound);
    }
    Ok(Subject::from(found.version))
}

/// One of few that measure at a time: each keeps a core busy.
fn permit(state: &State) -> Result<SemaphorePermit<'_>, Problem> {
    let permit = state.measuring.try_acquire();
    permit.map_err(|_| Problem::busy(RETRY_WHEN_BUSY_SECONDS, BUSY))
}

fn too_many() -> Problem {
    let detail = format!("has more than {MAX_PREDICTIONS} predictions; choose a shorter one");
    Problem::invalid_field("?window", detail)
}

/// How good a version's predictions of some days were, measured when it is asked. What takes longer, such as drift, pages and
/// intervals, is as of the last nightly measurement of as many days, where there is one.
#[utoipa::path(
    tag = "metrics",
    params(
        ("model_name" = String, Path), ("version" = String, Path),
        ("window" = Option<i64>, Query, description = "Days, 1 to 366; by default 30"),
        ("until" = Option<String>, Query, description = "The last of them, UTC, such as 2026-11-25; by default today")
    ),
    responses((status = 200, body = MetricsView)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/models/{model_name}/{version}/metrics")]
pub(crate) async fn find(
    state: Data<State>,
    path: Path<(Name, Name)>,
    Query(days): Query<Days>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let of = id(path.into_inner());
    let subject = subject(&state, &caller, &of).await?;
    let window = days.window(&state);
    let _permit = permit(&state)?;
    let tx = state.db.begin_worker().await?;
    let histogram = state.counted.window(&tx, &of, window).await?;
    let length = i16::try_from(days.count).unwrap_or(i16::MAX);
    let latest = model_metrics::latest(&tx, &of, (length, window.last)).await?;
    tx.rollback().await?;
    let metrics = spawn_blocking(move || Metrics::of(&histogram, subject.alert));
    let metrics = metrics.await?;
    let view = MetricsView::new(of, window, &metrics, latest);
    Ok(caller.disclose(NOBODY_ELSE, &view).await?)
}
