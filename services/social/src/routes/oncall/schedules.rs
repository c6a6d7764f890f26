//! On-call schedules.

use actix_web::web::{Data, Path, ThinData};
use actix_web::{HttpResponse, delete, get, patch, post};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use db::Tx;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use web::{
    Answer, Caller, Code, CursorKey, Fields, Granted, Id, Page, Paging, Problem, Query, Read, Write, read,
};

use super::{MANAGE, MAX_NAME_BYTES, MAX_ROTATIONS, READ, must_hold, taken, turn};
use crate::error::Error;
use crate::ops::fill_rotations::fill_rotations;
use crate::state::State;
use crate::store::oncall_schedules::{self, Schedule};

/// Cursors of this list.
const LIST_NAME: &str = "oncall-schedules";
/// A time zone, as a fault says it.
const A_ZONE: &str = "an IANA time zone, such as Europe/Vienna";

/// A new schedule.
#[derive(ToSchema)]
struct ScheduleBody {
    /// Unique.
    #[schema(max_length = 255)]
    name: String,
    /// IANA time zone in which its rotations hand over.
    #[schema(value_type = String, example = "Europe/Vienna")]
    timezone: Tz,
}

impl Read for ScheduleBody {
    const MAX_BODY_BYTES: usize = 4 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let name = fields.required("name", read::words(1..=MAX_NAME_BYTES));
        let timezone = fields.required("timezone", read::parsed(|word| word.parse().ok(), A_ZONE));
        Some(Self {
            name: name?,
            timezone: timezone?,
        })
    }
}

/// What is to change: what is absent stays.
#[derive(ToSchema)]
struct ScheduleChanges {
    /// Unique.
    #[schema(max_length = 255)]
    name: Option<String>,
    /// Shifts of rotations are written anew from now on.
    #[schema(value_type = Option<String>, example = "Europe/Vienna")]
    timezone: Option<Tz>,
}

impl Read for ScheduleChanges {
    const MAX_BODY_BYTES: usize = 4 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let name = fields.optional("name", read::words(1..=MAX_NAME_BYTES));
        let timezone = fields.optional("timezone", read::parsed(|word| word.parse().ok(), A_ZONE));
        Some(Self {
            name: name?,
            timezone: timezone?,
        })
    }
}

/// Turns in which members are on call. Local times are those of the schedule's zone.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what Postgres makes")]
struct RotationView {
    rotation_id: i64,
    name: String,
    /// daily, weekly or custom.
    kind: String,
    shift_days: i32,
    #[schema(example = "09:00")]
    handover_time: String,
    #[schema(example = "2026-06-15")]
    starts_on: String,
    ends_on: Option<String>,
    weekdays: Option<Vec<i16>>,
    hours_from: Option<String>,
    hours_until: Option<String>,
    /// Staff in the order of their turns.
    members: Vec<String>,
}

/// A schedule.
#[derive(Serialize, ToSchema)]
pub(super) struct ScheduleView {
    schedule_id: i64,
    name: String,
    timezone: String,
    /// Whether there is a calendar link.
    has_calendar: bool,
    created_at: DateTime<Utc>,
    /// Oldest first, at most 20.
    #[schema(value_type = Vec<RotationView>)]
    rotations: Value,
}

impl From<Schedule> for ScheduleView {
    fn from(found: Schedule) -> Self {
        Self {
            schedule_id: found.schedule_id,
            name: found.name,
            timezone: found.timezone,
            has_calendar: found.has_calendar,
            created_at: found.created_at,
            rotations: found.rotations,
        }
    }
}

impl ScheduleView {
    /// Everybody who has a turn.
    fn people(&self) -> Vec<String> {
        let rotations = self.rotations.as_array().into_iter().flatten();
        rotations
            .filter_map(|rotation| rotation.get("members")?.as_array())
            .flatten()
            .filter_map(|member| member.as_str().map(str::to_owned))
            .collect()
    }
}

/// Make a schedule. Nobody is on duty on it yet.
#[utoipa::path(
    tag = "on-call",
    request_body = ScheduleBody,
    responses((status = 201, body = ScheduleView), (status = 409, description = "The name is taken")),
    extensions(("x-principals" = json!(MANAGE)))
)]
#[post("/v1/oncall-schedules")]
pub(crate) async fn create(state: Data<State>, request: Write<ScheduleBody>) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&MANAGE)?;
    let _turn = turn(&state).await?;
    let tx = state.db.begin(&caller.actor()?).await?;
    web::write(tx, &caller, key, async |tx| {
        let schedule_id = oncall_schedules::insert(tx, &body.name, body.timezone.name())
            .await
            .map_err(taken)?;
        let made = oncall_schedules::find(tx, schedule_id)
            .await?
            .ok_or(Error::NotFound)?;
        let location = format!("/v1/oncall-schedules/{schedule_id}");
        Ok(Answer::created(location, &ScheduleView::from(made))?)
    })
    .await
}

/// All schedules, oldest first.
#[utoipa::path(
    tag = "on-call",
    params(("limit" = Option<i64>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Page<ScheduleView>)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/oncall-schedules")]
pub(crate) async fn list(
    state: Data<State>,
    Query(paging): Query<Paging>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let after: i64 = cursors.open(LIST_NAME, &caller, &paging)?.unwrap_or(0);
    let limit = paging.limit + 1;
    let rows = state
        .db
        .read(&caller.actor()?, &oncall_schedules::list_sql(), &[&after, &limit])
        .await?;
    let items = rows
        .iter()
        .map(|row| Ok(oncall_schedules::from_row(row)?.into()))
        .collect::<Result<Vec<ScheduleView>, db::Error>>()?;
    let page = Page::cut(items, paging.limit, |last| {
        cursors.seal(LIST_NAME, &caller, &paging, &last.schedule_id)
    });
    let people: Vec<String> = page.items.iter().flat_map(ScheduleView::people).collect();
    Ok(caller.disclose(people, &page).await?)
}

/// One schedule with its rotations.
#[utoipa::path(
    tag = "on-call",
    params(("schedule_id" = i64, Path)),
    responses((status = 200, body = ScheduleView)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/oncall-schedules/{schedule_id}")]
pub(crate) async fn find(
    state: Data<State>,
    schedule_id: Path<Id>,
    _: Query<()>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let rows = state
        .db
        .read(&caller.actor()?, &oncall_schedules::find_sql(), &[&**schedule_id])
        .await?;
    let found = oncall_schedules::from_row(rows.first().ok_or(Error::NotFound)?)?;
    let view = ScheduleView::from(found);
    Ok(caller.disclose(view.people(), &view).await?)
}

/// Rename a schedule, or move it to another time zone.
#[utoipa::path(
    tag = "on-call",
    params(("schedule_id" = i64, Path)),
    request_body = ScheduleChanges,
    responses((status = 200, body = ScheduleView), (status = 409, description = "The name is taken")),
    extensions(("x-principals" = json!(MANAGE)))
)]
#[patch("/v1/oncall-schedules/{schedule_id}")]
pub(crate) async fn change(
    state: Data<State>,
    schedule_id: Path<Id>,
    request: Write<ScheduleChanges>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&MANAGE)?;
    let _turn = turn(&state).await?;
    let tx = state.db.begin(&caller.actor()?).await?;
    web::write(tx, &caller, key, async |tx| {
        must_hold(tx, **schedule_id).await?;
        let zone = body.timezone.map(Tz::name);
        oncall_schedules::update(tx, **schedule_id, body.name.as_deref(), zone)
            .await
            .map_err(taken)?;
        answer_changed(tx, &state, **schedule_id, Answer::ok).await
    })
    .await
}

/// What pages by a schedule refers to it.
fn in_use(error: db::Error) -> Error {
    if !matches!(error, db::Error::ForeignKey { .. }) {
        return error.into();
    }
    let detail = "The schedule is in use. Change what pages by it first.";
    Problem::conflict(Code::WrongState, detail).into()
}

/// Remove a schedule with its rotations, shifts and overrides. Nobody is on duty on it from then on.
#[utoipa::path(
    tag = "on-call",
    params(("schedule_id" = i64, Path)),
    responses((status = 204, description = "It is removed"), (status = 409, description = "It is in use")),
    extensions(("x-principals" = json!(MANAGE)))
)]
#[delete("/v1/oncall-schedules/{schedule_id}")]
pub(crate) async fn remove(
    state: Data<State>,
    schedule_id: Path<Id>,
    request: Write<()>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, key, .. } = request.allow(&MANAGE)?;
    let _turn = turn(&state).await?;
    let tx = state.db.begin(&caller.actor()?).await?;
    web::write(tx, &caller, key, async |tx| {
        let is_there = oncall_schedules::delete(tx, **schedule_id)
            .await
            .map_err(in_use)?;
        if !is_there {
            return Err(Error::NotFound);
        }
        oncall_schedules::settle(tx, state.clock.fixed()).await?;
        Ok(Answer::no_content())
    })
    .await
}

/// Writes the shifts that a change of rotations leads to, and answers with the schedule as it is then.
pub(super) async fn answer_changed(
    tx: &Tx,
    state: &State,
    schedule_id: i64,
    answer: impl FnOnce(&ScheduleView) -> Result<Answer, Problem>,
) -> Result<Answer, Error> {
    let now = state.clock.fixed();
    fill_rotations(tx, Some(schedule_id), MAX_ROTATIONS, now).await?;
    oncall_schedules::settle(tx, now).await?;
    let found = oncall_schedules::find(tx, schedule_id)
        .await?
        .ok_or(Error::NotFound)?;
    let view = ScheduleView::from(found);
    Ok(answer(&view)?.about(view.people()))
}
