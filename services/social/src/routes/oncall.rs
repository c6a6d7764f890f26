//! Who is on call. What the routes beneath have in common stands here.

pub(crate) mod calendar;
pub(crate) mod on_duty;
pub(crate) mod overrides;
pub(crate) mod rotations;
pub(crate) mod schedules;
pub(crate) mod shifts;
pub(crate) mod swaps;

use chrono::{DateTime, TimeDelta, Utc};
use common::PrincipalKind;
use db::{Row, Tx};
use serde::{Deserialize, Serialize};
use tokio::sync::SemaphorePermit;
use web::{
    Allowed, Caller, Code, CursorKey, FieldError, Fields, Page, Paging, Params, Problem, ReadQuery, read,
};

use crate::domain::duty::with_stand_ins;
use crate::domain::rotation::{Duty, MAX_SHIFT_DAYS};
use crate::error::Error;
use crate::state::State;
use crate::store::{oncall_calendar, oncall_schedules};

const READ: Allowed = Allowed(&[
    PrincipalKind::Counselor,
    PrincipalKind::Oncall,
    PrincipalKind::Supervisor,
    PrincipalKind::Admin,
]);
const MANAGE: Allowed = Allowed(&[PrincipalKind::Supervisor, PrincipalKind::Admin]);

const MAX_NAME_BYTES: usize = 255;
/// What a schedule has at most, so that each change of it is written whole in one transaction.
const MAX_ROTATIONS: i64 = 20;

/// Names are unique: those of schedules, and those of rotations on one.
fn taken(error: db::Error) -> Error {
    if !matches!(
        error.constraint(),
        Some("uq_oncall_schedules_name" | "uq_oncall_rotations_name")
    ) {
        return error.into();
    }
    let fault = FieldError {
        pointer: "/name".to_owned(),
        detail: "is taken".to_owned(),
    };
    Problem::conflict(Code::Taken, "Another one has this name.")
        .with_errors(vec![fault])
        .into()
}

/// One at a time changes who is on call. More would only wait for each other's schedule, each holding a connection that
/// somebody needs who answers an escalation; here they wait holding nothing, and the request's own time-out bounds the wait.
async fn turn(state: &State) -> Result<SemaphorePermit<'_>, Error> {
    state.rosters.acquire().await.map_err(|_| Error::Busy)
}

/// 404 where there is no such schedule; else nobody else changes what is on it until the transaction ends.
async fn must_hold(tx: &Tx, schedule_id: i64) -> Result<(), Error> {
    let is_there = oncall_schedules::lock(tx, schedule_id).await?;
    is_there.then_some(()).ok_or(Error::NotFound)
}

/// 404 where there is no such schedule, for lists that are empty.
async fn must_be(state: &State, caller: &Caller, schedule_id: i64) -> Result<(), Error> {
    let rows = state
        .db
        .read(&caller.actor()?, oncall_schedules::EXISTS, &[&schedule_id])
        .await?;
    rows.first().map(drop).ok_or(Error::NotFound)
}

/// 422 for staff who cannot be on call; each of them is named by place.
async fn must_be_on_call(tx: &Tx, staff: &[(&str, String)]) -> Result<(), Error> {
    let ids: Vec<&str> = staff.iter().map(|(staff_id, _)| *staff_id).collect();
    let can = oncall_schedules::staff_on_call(tx, &ids).await?;
    let faults: Vec<FieldError> = staff
        .iter()
        .filter(|(staff_id, _)| !can.iter().any(|one| one == staff_id))
        .map(|(_, pointer)| FieldError {
            pointer: pointer.clone(),
            detail: "must be active staff with the role oncall".to_owned(),
        })
        .collect();
    if faults.is_empty() {
        Ok(())
    } else {
        Err(Problem::invalid(faults).into())
    }
}

/// A stretch of time of a shift or an override.
fn read_span(fields: &mut Fields<'_>) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let starts_at = fields.required("starts_at", read::moment);
    let ends_at = fields.required("ends_at", read::moment);
    let (starts_at, ends_at) = (starts_at?, ends_at?);
    if ends_at <= starts_at {
        fields.fault("ends_at", "must be after starts_at");
        return None;
    }
    if ends_at - starts_at > TimeDelta::days(i64::from(MAX_SHIFT_DAYS)) {
        fields.fault(
            "ends_at",
            format!("must be at most {MAX_SHIFT_DAYS} days after starts_at"),
        );
        return None;
    }
    Some((starts_at, ends_at))
}

/// Who is on duty from when to when within a stretch of time, everybody who stands in among them.
async fn duties(
    tx: &Tx,
    schedule_id: i64,
    span: (DateTime<Utc>, DateTime<Utc>),
) -> Result<Vec<Duty>, db::Error> {
    let (shifts, stand_ins) = oncall_calendar::read(tx, schedule_id, span).await?;
    Ok(with_stand_ins(shifts, &stand_ins))
}

/// 422 for what would be over already.
fn is_over() -> Error {
    Problem::invalid_field("/ends_at", "must be in the future").into()
}

/// Where a page of shifts or overrides ended: by time, then id.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Soonest(DateTime<Utc>, i64);

impl Default for Soonest {
    fn default() -> Self {
        Self(DateTime::UNIX_EPOCH, 0)
    }
}

/// Shifts or overrides of a schedule, as somebody asks for them.
struct OfSchedule<'a> {
    /// What is listed, as its cursors know it.
    what: &'static str,
    schedule_id: i64,
    query: &'a SpanQuery,
    caller: &'a Caller,
    cursors: &'a CursorKey,
}

impl OfSchedule<'_> {
    /// One page, by time; 404 where there is no such schedule. The statement takes the schedule, from, now, until, the row to
    /// go on behind (`$5`, `$6`) and a limit.
    async fn page<T>(
        &self,
        state: &State,
        sql: &str,
        from_row: impl Fn(&Row) -> Result<T, db::Error>,
        position: impl Fn(&T) -> Soonest,
    ) -> Result<Page<T>, Error> {
        let Self {
            schedule_id, query, ..
        } = self;
        let name = format!("{}/{schedule_id}", self.what);
        let opened = self.cursors.open(&name, self.caller, &query.paging)?;
        let Soonest(at, id) = opened.unwrap_or_default();
        let limit = query.paging.limit + 1;
        let now = state.clock.fixed();
        let params: db::Params<'_> = &[schedule_id, &query.from, &now, &query.until, &at, &id, &limit];
        let rows = state.db.read(&self.caller.actor()?, sql, params).await?;
        if rows.is_empty() {
            must_be(state, self.caller, *schedule_id).await?;
        }
        let items = rows.iter().map(from_row).collect::<Result<Vec<T>, _>>()?;
        Ok(Page::cut(items, query.paging.limit, |last| {
            self.cursors
                .seal(&name, self.caller, &query.paging, &position(last))
        }))
    }
}

/// Which shifts or overrides are listed.
struct SpanQuery {
    from: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
    paging: Paging,
}

impl ReadQuery for SpanQuery {
    fn read(params: &mut Params) -> Option<Self> {
        let from = params.optional("from", read::moment);
        let until = params.optional("until", read::moment);
        let paging = Paging::read(params);
        Some(Self {
            from: from?,
            until: until?,
            paging: paging?,
        })
    }
}
