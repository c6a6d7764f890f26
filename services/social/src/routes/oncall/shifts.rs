//! Shifts of a schedule: those of rotations, and those that a supervisor writes by hand.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path, ThinData};
use actix_web::{HttpResponse, delete, get, post};
use chrono::{DateTime, Utc};
use common::PrincipalKind;
use db::Row;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use web::{
    Allowed, Answer, Caller, Code, CursorKey, Fields, Granted, Id, Page, Problem, Query, Read, Write, read,
};

use super::{OfSchedule, READ, Soonest, SpanQuery, is_over, must_be_on_call, read_span, turn};
use crate::domain::rotation::Duty;
use crate::error::Error;
use crate::state::State;
use crate::store::oncall_schedules;
use crate::store::oncall_shifts::{self, Shift};

const WRITE: Allowed = Allowed(&[PrincipalKind::Supervisor]);
/// Cursors of this list.
const LIST_NAME: &str = "oncall-shifts";

/// A shift written by hand.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; Duty is what it is read into")]
struct ShiftBody {
    /// Active staff with the role oncall.
    staff_id: String,
    starts_at: DateTime<Utc>,
    /// At most 28 days after starts_at, and not over.
    ends_at: DateTime<Utc>,
}

impl Read for Duty {
    const MAX_BODY_BYTES: usize = 4 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let staff_id = fields.required("staff_id", read::identifier);
        let (starts_at, ends_at) = read_span(fields)?;
        Some(Self {
            staff_id: staff_id?,
            starts_at,
            ends_at,
        })
    }
}

/// A shift.
#[derive(Serialize, ToSchema)]
struct ShiftView {
    shift_id: i64,
    staff_id: String,
    starts_at: DateTime<Utc>,
    ends_at: DateTime<Utc>,
    /// rotation or manual.
    source: String,
    /// The rotation it is a turn of, while there is one.
    rotation_id: Option<i64>,
}

impl From<Shift> for ShiftView {
    fn from(found: Shift) -> Self {
        Self {
            shift_id: found.shift_id,
            staff_id: found.duty.staff_id,
            starts_at: found.duty.starts_at,
            ends_at: found.duty.ends_at,
            source: found.source,
            rotation_id: found.rotation_id,
        }
    }
}

/// The shifts that end after `from`, by default now, and begin before `until`, by time; before anybody stands in. Those of
/// rotations are written 90 days ahead.
#[utoipa::path(
    tag = "on-call",
    params(
        ("schedule_id" = i64, Path),
        ("from" = Option<DateTime<Utc>>, Query),
        ("until" = Option<DateTime<Utc>>, Query),
        ("limit" = Option<i64>, Query),
        ("cursor" = Option<String>, Query),
    ),
    responses((status = 200, body = Page<ShiftView>)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/oncall-schedules/{schedule_id}/shifts")]
pub(crate) async fn list(
    state: Data<State>,
    schedule_id: Path<Id>,
    Query(query): Query<SpanQuery>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let asked = OfSchedule {
        what: LIST_NAME,
        schedule_id: **schedule_id,
        query: &query,
        caller: &caller,
        cursors: &cursors,
    };
    let from_row = |row: &Row| Ok(ShiftView::from(oncall_shifts::from_row(row)?));
    let page = asked
        .page(&state, oncall_shifts::LIST, from_row, |last| {
            Soonest(last.starts_at, last.shift_id)
        })
        .await?;
    let people: Vec<&str> = page.items.iter().map(|one| one.staff_id.as_str()).collect();
    Ok(caller.disclose(people, &page).await?)
}

/// Put somebody on duty by hand, besides those whose turn it is.
#[utoipa::path(
    tag = "on-call",
    params(("schedule_id" = i64, Path)),
    request_body = ShiftBody,
    responses((status = 201, body = ShiftView)),
    extensions(("x-principals" = json!(WRITE)))
)]
#[post("/v1/oncall-schedules/{schedule_id}/shifts")]
pub(crate) async fn create(
    state: Data<State>,
    schedule_id: Path<Id>,
    request: Write<Duty>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&WRITE)?;
    let _turn = turn(&state).await?;
    let tx = state.db.begin(&caller.actor()?).await?;
    web::write(tx, &caller, key, async |tx| {
        if !oncall_schedules::exists(tx, **schedule_id).await? {
            return Err(Error::NotFound);
        }
        must_be_on_call(tx, &[(&body.staff_id, "/staff_id".to_owned())]).await?;
        let now = state.clock.fixed();
        let shift = oncall_shifts::insert(tx, **schedule_id, &body, now)
            .await?
            .ok_or_else(is_over)?;
        oncall_schedules::settle(tx, now).await?;
        Ok(Answer::json(StatusCode::CREATED, &ShiftView::from(shift))?.about([body.staff_id.as_str()]))
    })
    .await
}

/// A shift of a schedule.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct ShiftPath {
    #[param(value_type = i64)]
    schedule_id: Id,
    #[param(value_type = i64)]
    shift_id: Id,
}

/// Take back a shift that was written by hand, or end it where it has begun. Turns of a rotation are changed by the
/// rotation or by an override.
#[utoipa::path(
    tag = "on-call",
    params(ShiftPath),
    responses(
        (status = 204, description = "Nobody is on duty by it any more"),
        (status = 409, description = "It is over, or a rotation wrote it")
    ),
    extensions(("x-principals" = json!(WRITE)))
)]
#[delete("/v1/oncall-schedules/{schedule_id}/shifts/{shift_id}")]
pub(crate) async fn remove(
    state: Data<State>,
    path: Path<ShiftPath>,
    request: Write<()>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, key, .. } = request.allow(&WRITE)?;
    let _turn = turn(&state).await?;
    let tx = state.db.begin(&caller.actor()?).await?;
    web::write(tx, &caller, key, async |tx| {
        let now = state.clock.fixed();
        let is_ended = oncall_shifts::end(tx, *path.schedule_id, *path.shift_id, now)
            .await?
            .ok_or(Error::NotFound)?;
        if !is_ended {
            let detail =
                "Only a shift that was written by hand and is not over can be taken back; an override changes the others.";
            return Err(Problem::conflict(Code::WrongState, detail).into());
        }
        oncall_schedules::settle(tx, now).await?;
        Ok(Answer::no_content())
    })
    .await
}
