//! The level of a client by all live models, and where it is heading.

use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, get};
use chrono::{DateTime, NaiveDate, Utc};
use common::{ModelRiskLevel, PrincipalKind, Trend};
use serde::Serialize;
use utoipa::ToSchema;
use web::{Allowed, Caller, Identifier, NOBODY_ELSE, Params, Query, ReadQuery};

use super::of_client::must_care_for;
use crate::domain::days::{Day, days};
use crate::domain::level::{Reading, Week, trend, weeks};
use crate::error::Error;
use crate::state::State;
use crate::store::readings::{self, By, Current, Said};

const READ: Allowed = Allowed(&[PrincipalKind::Counselor, PrincipalKind::Supervisor]);

/// Days that a trend looks back.
const TREND_DAYS: i32 = 30;
const DEFAULT_DAYS: i64 = 30;
const MAX_DAYS: i64 = 365;
/// Predictions of a version about a client that are looked at; some ten a day for a year.
const MAX_READINGS: usize = 4_000;

/// A client's level.
#[derive(Serialize, ToSchema)]
struct LevelView {
    user_id: String,
    /// The severest of what each live model said last, as long as its horizon lasts; null while none does.
    #[schema(value_type = Option<String>, example = "HIGH")]
    risk_level: Option<ModelRiskLevel>,
    /// Since when it is so; null where nothing was ever said.
    level_since: Option<DateTime<Utc>>,
    /// Until when it is so at the longest if nothing more is said.
    valid_until: Option<DateTime<Utc>>,
    /// The prediction that it is by.
    prediction: Option<ByView>,
    /// Where the scores of that version are heading: the mean of 7 days against that of the 7 days before.
    #[schema(value_type = Option<String>, example = "declining")]
    trend: Option<Trend>,
}

/// The prediction that a level is by.
#[derive(Serialize, ToSchema)]
struct ByView {
    prediction_id: i64,
    model_name: String,
    model_version: String,
    predicted_at: DateTime<Utc>,
    horizon_days: i16,
    probability: f64,
}

impl From<By> for ByView {
    fn from(by: By) -> Self {
        Self {
            prediction_id: by.prediction_id,
            model_name: by.model_name,
            model_version: by.model_version,
            predicted_at: by.predicted_at,
            horizon_days: by.horizon_days,
            probability: by.probability,
        }
    }
}

/// A client's level now: by which prediction, since when and until when. It is settled with every prediction, and within
/// seconds of the end of a horizon or a change of a version's stage.
#[utoipa::path(
    tag = "predictions",
    params(("user_id" = String, Path)),
    responses((status = 200, body = LevelView)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/users/{user_id}/predictions/latest")]
pub(crate) async fn latest(
    state: Data<State>,
    user_id: Path<Identifier>,
    _: Query<()>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let actor = caller.actor_for(&user_id)?;
    must_care_for(&state, &actor, &user_id).await?;
    let current = current(&state, &actor, &user_id).await?;
    let said = said(&state, &actor, &user_id, TREND_DAYS).await?;
    let trend = current.by.as_ref().map(|by| {
        let of_version =
            |said: &&Said| said.model_name == by.model_name && said.model_version == by.model_version;
        let readings: Vec<Reading> = said.iter().filter(of_version).map(|said| said.reading).collect();
        trend(&readings, current.now)
    });
    let view = LevelView {
        user_id: user_id.into_inner().into_string(),
        risk_level: current.level,
        level_since: current.since,
        valid_until: current.valid_until,
        prediction: current.by.map(ByView::from),
        trend,
    };
    Ok(caller.disclose(NOBODY_ELSE, &view).await?)
}

async fn current(state: &State, actor: &db::Actor, user_id: &str) -> Result<Current, Error> {
    let now = state.clock.fixed();
    let rows = state.db.read(actor, readings::CURRENT, &[&user_id, &now]).await?;
    Ok(readings::current_from_row(rows.first().ok_or(Error::NotFound)?)?)
}

/// What live versions said within so many days, one more of each than is looked at.
async fn said(state: &State, actor: &db::Actor, user_id: &str, days: i32) -> Result<Vec<Said>, Error> {
    let limit = i64::try_from(MAX_READINGS + 1).unwrap_or(i64::MAX);
    let params: db::Params<'_> = &[&user_id, &state.clock.fixed(), &days, &limit];
    let rows = state.db.read(actor, readings::OF_LIVE, params).await?;
    Ok(rows
        .iter()
        .map(readings::said_from_row)
        .collect::<Result<_, _>>()?)
}

/// How far back.
struct TrendQuery {
    days: i32,
}

impl ReadQuery for TrendQuery {
    fn read(params: &mut Params) -> Option<Self> {
        let days = params.integer("days", 1..=MAX_DAYS)?.unwrap_or(DEFAULT_DAYS);
        Some(Self {
            days: i32::try_from(days).ok()?,
        })
    }
}

/// How a client's scores have moved, by each live model.
#[derive(Serialize, ToSchema)]
struct TrendView {
    user_id: String,
    days: i32,
    models: Vec<ModelTrend>,
}

/// How one live version has scored a client; also before it was live.
#[derive(Serialize, ToSchema)]
struct ModelTrend {
    model_name: String,
    model_version: String,
    /// The mean of 7 days against that of the 7 days before: improving, stable or declining.
    #[schema(value_type = String, example = "declining")]
    trend: Trend,
    /// Days that have scores, the earliest first.
    points: Vec<Point>,
    /// ISO weeks that have scores, the earliest first; the first may be cut by `days`.
    weeks: Vec<WeekView>,
    /// Whether all that was said within these days is in it: a version that says very much is cut off.
    is_complete: bool,
}

/// The scores of a day, UTC.
#[derive(Serialize, ToSchema)]
struct Point {
    day: NaiveDate,
    count: u64,
    mean: f64,
    max: f64,
}

/// The scores of an ISO week, UTC.
#[derive(Serialize, ToSchema)]
struct WeekView {
    monday: NaiveDate,
    /// Such as 2026-W25.
    week: String,
    count: u64,
    mean: f64,
}

impl From<Day> for Point {
    fn from(day: Day) -> Self {
        Self {
            day: day.day,
            count: day.count,
            mean: day.mean,
            max: day.max.as_f64(),
        }
    }
}

impl From<Week> for WeekView {
    fn from(week: Week) -> Self {
        Self {
            monday: week.monday,
            week: week.monday.format("%G-W%V").to_string(),
            count: week.count,
            mean: week.mean,
        }
    }
}

/// How a client's scores have moved over the last days (30 unless said otherwise), a point a day and a mean an ISO week.
#[utoipa::path(
    tag = "predictions",
    params(("user_id" = String, Path), ("days" = Option<i64>, Query)),
    responses((status = 200, body = TrendView)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/users/{user_id}/predictions/trend")]
pub(crate) async fn over_time(
    state: Data<State>,
    user_id: Path<Identifier>,
    Query(query): Query<TrendQuery>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let actor = caller.actor_for(&user_id)?;
    must_care_for(&state, &actor, &user_id).await?;
    let now = current(&state, &actor, &user_id).await?.now;
    let said = said(&state, &actor, &user_id, query.days.max(TREND_DAYS)).await?;
    let first_shown = now - chrono::TimeDelta::days(query.days.into());
    let of_one = |one: &Said, other: &Said| one.model_name == other.model_name;
    let models = said
        .chunk_by(of_one)
        .filter_map(|said| model_trend(said, first_shown, now))
        .collect();
    let view = TrendView {
        user_id: user_id.into_inner().into_string(),
        days: query.days,
        models,
    };
    Ok(caller.disclose(NOBODY_ELSE, &view).await?)
}

/// What one version said, newest first; `None` where all of it is older than what is shown.
fn model_trend(said: &[Said], first_shown: DateTime<Utc>, now: DateTime<Utc>) -> Option<ModelTrend> {
    let first = said.first().filter(|said| said.reading.at > first_shown)?;
    let readings: Vec<Reading> = said.iter().take(MAX_READINGS).map(|said| said.reading).collect();
    let shown: Vec<Reading> = readings
        .iter()
        .filter(|reading| reading.at > first_shown)
        .copied()
        .collect();
    Some(ModelTrend {
        model_name: first.model_name.clone(),
        model_version: first.model_version.clone(),
        trend: trend(&readings, now),
        points: days(&shown).into_iter().map(Point::from).collect(),
        weeks: weeks(&shown).into_iter().map(WeekView::from).collect(),
        is_complete: said.len() <= MAX_READINGS,
    })
}
