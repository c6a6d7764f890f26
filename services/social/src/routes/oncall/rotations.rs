//! Rotations of a schedule: whose turn it is. Each change writes their shifts, 90 days ahead.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, delete, post, put};
use chrono::{Datelike, NaiveDate, NaiveTime};
use db::Tx;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use web::{Answer, Code, Fault, Fields, Granted, Id, Problem, Read, Value, Write, read};

use super::schedules::{ScheduleView, answer_changed};
use super::{MANAGE, MAX_NAME_BYTES, MAX_ROTATIONS, must_be_on_call, must_hold, taken, turn};
use crate::domain::rotation::MAX_SHIFT_DAYS;
use crate::error::Error;
use crate::state::State;
use crate::store::oncall_rotations::{self, Said};
use crate::store::oncall_schedules;

const MAX_MEMBERS: usize = 50;
const KINDS: &[&str] = &["daily", "weekly", "custom"];

/// Turns of members. Local times are those of the schedule's zone: one that exists twice when clocks are put back is the
/// first of the two, one that does not exist when they are put forward is the moment of the jump.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; Said is what it is read into")]
struct RotationBody {
    /// Unique on its schedule.
    #[schema(max_length = 255)]
    name: String,
    /// daily, weekly or custom.
    #[schema(example = "weekly")]
    kind: String,
    /// Days from one handover to the next, 1 to 28; for custom alone, which needs it.
    shift_days: Option<i32>,
    /// Local time at which the next member takes over.
    #[schema(example = "09:00")]
    handover_time: String,
    /// Day of the first handover.
    #[schema(example = "2026-06-15")]
    starts_on: String,
    /// Day at whose handover the rotation ends.
    ends_on: Option<String>,
    /// Days on which it is active, 1 for Monday; by default all.
    #[schema(example = json!([1, 2, 3, 4, 5]))]
    weekdays: Option<Vec<i16>>,
    /// Local time from which it is active on such a day, with hours_until; by default the whole day.
    #[schema(example = "22:00")]
    hours_from: Option<String>,
    /// Until when; on the day after, where it is not later than hours_from.
    #[schema(example = "06:00")]
    hours_until: Option<String>,
    /// Active staff with the role oncall, in the order of their turns, at most 50.
    members: Vec<String>,
}

impl Read for Said {
    const MAX_BODY_BYTES: usize = 32 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let name = fields.required("name", read::words(1..=MAX_NAME_BYTES));
        let kind = fields.required("kind", read::one_of(KINDS));
        let custom_days = fields.optional("shift_days", read::integer(1..=MAX_SHIFT_DAYS));
        let handover_time = fields.required("handover_time", local_time());
        let starts_on = fields.required("starts_on", read::parsed(day, "a day, such as 2026-06-15"));
        let ends_on = fields.optional("ends_on", read::parsed(day, "a day, such as 2026-06-15"));
        let weekdays = fields.optional("weekdays", weekdays);
        let from = fields.optional("hours_from", local_time());
        let until = fields.optional("hours_until", local_time());
        let members = fields.list("members", 1..=MAX_MEMBERS, read::identifier);
        let (starts_on, ends_on) = (starts_on?, ends_on?);
        if ends_on.is_some_and(|ends_on| ends_on <= starts_on) {
            fields.fault("ends_on", "must be after starts_on");
        }
        let kind = kind?;
        Some(Self {
            name: name?,
            kind,
            shift_days: shift_days(fields, kind, custom_days?)?,
            handover_time: handover_time?,
            starts_on,
            ends_on,
            weekdays: weekdays?,
            hours: hours(fields, from?, until?)?,
            members: members?,
        })
    }
}

fn shift_days(fields: &mut Fields<'_>, kind: &str, days: Option<i32>) -> Option<i32> {
    match (kind, days) {
        ("daily", None | Some(1)) => Some(1),
        ("weekly", None | Some(7)) => Some(7),
        ("custom", Some(days)) => Some(days),
        ("custom", None) => {
            fields.fault("shift_days", "is required for custom");
            None
        }
        (_, _) => {
            fields.fault("shift_days", "is for custom; daily has 1 and weekly 7");
            None
        }
    }
}

/// `None` where they are at fault.
fn hours(
    fields: &mut Fields<'_>,
    from: Option<NaiveTime>,
    until: Option<NaiveTime>,
) -> Option<Option<(NaiveTime, NaiveTime)>> {
    let fault = match (from, until) {
        (None, None) => return Some(None),
        (Some(from), Some(until)) if from != until => return Some(Some((from, until))),
        (Some(_), Some(_)) => ("hours_until", "must be another than hours_from"),
        (Some(_), None) => ("hours_until", "is required with hours_from"),
        (None, Some(_)) => ("hours_from", "is required with hours_until"),
    };
    fields.fault(fault.0, fault.1);
    None
}

fn local_time() -> impl Fn(&Value) -> Result<NaiveTime, Fault> {
    let parse = |text: &str| {
        let time = NaiveTime::parse_from_str(text, "%H:%M").ok()?;
        // In one form alone: chrono also reads 9:00.
        (time.format("%H:%M").to_string() == text).then_some(time)
    };
    read::parsed(parse, "a local time, such as 09:00")
}

fn day(text: &str) -> Option<NaiveDate> {
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    (day.to_string() == text && (2000..2100).contains(&day.year())).then_some(day)
}

fn weekdays(value: &Value) -> Result<Vec<i16>, Fault> {
    let Value::Array(days) = value else {
        return Err("must be an array of days, 1 for Monday".into());
    };
    if !(1..=7).contains(&days.len()) {
        return Err("must hold 1 to 7 days".into());
    }
    let mut days: Vec<i16> = days
        .iter()
        .map(read::integer(1..=7_i16))
        .collect::<Result<_, _>>()?;
    days.sort_unstable();
    days.dedup();
    Ok(days)
}

/// A rotation of a schedule.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct RotationPath {
    #[param(value_type = i64)]
    schedule_id: Id,
    #[param(value_type = i64)]
    rotation_id: Id,
}

async fn members_must_be_on_call(tx: &Tx, said: &Said) -> Result<(), Error> {
    let members = said.members.iter().enumerate();
    let staff: Vec<(&str, String)> = members
        .map(|(place, staff_id)| (staff_id.as_str(), format!("/members/{place}")))
        .collect();
    must_be_on_call(tx, &staff).await
}

/// Put a rotation on a schedule; answers with the schedule.
#[utoipa::path(
    tag = "on-call",
    params(("schedule_id" = i64, Path)),
    request_body = RotationBody,
    responses(
        (status = 201, body = ScheduleView),
        (status = 409, description = "The name is taken, or the schedule has 20 rotations")
    ),
    extensions(("x-principals" = json!(MANAGE)))
)]
#[post("/v1/oncall-schedules/{schedule_id}/rotations")]
pub(crate) async fn create(
    state: Data<State>,
    schedule_id: Path<Id>,
    request: Write<Said>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&MANAGE)?;
    let _turn = turn(&state).await?;
    let tx = state.db.begin(&caller.actor()?).await?;
    web::write(tx, &caller, key, async |tx| {
        must_hold(tx, **schedule_id).await?;
        members_must_be_on_call(tx, &body).await?;
        if oncall_rotations::count(tx, **schedule_id).await? >= MAX_ROTATIONS {
            let detail = format!("A schedule has at most {MAX_ROTATIONS} rotations.");
            return Err(Problem::conflict(Code::WrongState, detail).into());
        }
        oncall_rotations::insert(tx, **schedule_id, &body)
            .await
            .map_err(taken)?;
        answer_changed(tx, &state, **schedule_id, |view| {
            Answer::json(StatusCode::CREATED, view)
        })
        .await
    })
    .await
}

/// Make a rotation another; answers with the schedule. Who is on duty and stays it goes on in the same shift.
#[utoipa::path(
    tag = "on-call",
    params(RotationPath),
    request_body = RotationBody,
    responses((status = 200, body = ScheduleView), (status = 409, description = "The name is taken")),
    extensions(("x-principals" = json!(MANAGE)))
)]
#[put("/v1/oncall-schedules/{schedule_id}/rotations/{rotation_id}")]
pub(crate) async fn replace(
    state: Data<State>,
    path: Path<RotationPath>,
    request: Write<Said>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&MANAGE)?;
    let _turn = turn(&state).await?;
    let tx = state.db.begin(&caller.actor()?).await?;
    web::write(tx, &caller, key, async |tx| {
        must_hold(tx, *path.schedule_id).await?;
        members_must_be_on_call(tx, &body).await?;
        let is_there = oncall_rotations::replace(tx, *path.schedule_id, *path.rotation_id, &body)
            .await
            .map_err(taken)?;
        if !is_there {
            return Err(Error::NotFound);
        }
        answer_changed(tx, &state, *path.schedule_id, Answer::ok).await
    })
    .await
}

/// Take a rotation off a schedule. Nobody is on duty by it from now on; who was stays known.
#[utoipa::path(
    tag = "on-call",
    params(RotationPath),
    responses((status = 204, description = "It is taken off")),
    extensions(("x-principals" = json!(MANAGE)))
)]
#[delete("/v1/oncall-schedules/{schedule_id}/rotations/{rotation_id}")]
pub(crate) async fn remove(
    state: Data<State>,
    path: Path<RotationPath>,
    request: Write<()>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, key, .. } = request.allow(&MANAGE)?;
    let _turn = turn(&state).await?;
    let tx = state.db.begin(&caller.actor()?).await?;
    web::write(tx, &caller, key, async |tx| {
        must_hold(tx, *path.schedule_id).await?;
        let now = state.clock.fixed();
        if !oncall_rotations::delete(tx, *path.schedule_id, *path.rotation_id, now).await? {
            return Err(Error::NotFound);
        }
        oncall_schedules::settle(tx, now).await?;
        Ok(Answer::no_content())
    })
    .await
}
