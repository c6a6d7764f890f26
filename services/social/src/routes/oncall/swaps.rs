//! Swaps: staff offer their own duty to a colleague, or to whoever is on call, and who takes it stands in.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path, ThinData};
use actix_web::{HttpResponse, get, post};
use chrono::{DateTime, Utc};
use common::PrincipalKind;
use db::{Row, Tx};
use serde::Serialize;
use utoipa::ToSchema;
use web::{
    Allowed, Answer, Caller, Code, CursorKey, Fields, Granted, Id, Page, Problem, Query, Read, Write, read,
};

use super::{OfSchedule, READ, Soonest, SpanQuery, duties, must_be_on_call, read_span, turn};
use crate::domain::rotation::Duty;
use crate::domain::swap::{Offer, Refusal, Status};
use crate::error::Error;
use crate::state::State;
use crate::store::shift_swaps::{self, Swap};
use crate::store::{oncall_overrides, oncall_schedules};

const WRITE: Allowed = Allowed(&[
    PrincipalKind::Counselor,
    PrincipalKind::Oncall,
    PrincipalKind::Supervisor,
]);
/// May withdraw what others offer.
const FOR_OTHERS: Allowed = Allowed(&[PrincipalKind::Supervisor]);
/// Cursors of this list.
const LIST_NAME: &str = "shift-swaps";

/// An offer of the own duty, or of a part of it.
#[derive(ToSchema)]
struct SwapBody {
    /// Who alone may take it: active staff with the role oncall. By default any of them.
    offered_to: Option<String>,
    /// In the future.
    starts_at: DateTime<Utc>,
    /// At most 28 days after starts_at. The caller is on duty for the whole of that time.
    ends_at: DateTime<Utc>,
}

impl Read for SwapBody {
    const MAX_BODY_BYTES: usize = 4 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let offered_to = fields.optional("offered_to", read::identifier);
        let (starts_at, ends_at) = read_span(fields)?;
        Some(Self {
            offered_to: offered_to?,
            starts_at,
            ends_at,
        })
    }
}

/// An offer.
#[derive(Serialize, ToSchema)]
struct SwapView {
    swap_id: i64,
    schedule_id: i64,
    /// Whose duty it is.
    offered_by: String,
    /// Who alone may take it; null: whoever is on call.
    offered_to: Option<String>,
    /// Who took it and stands in.
    taken_by: Option<String>,
    starts_at: DateTime<Utc>,
    ends_at: DateTime<Utc>,
    /// open, taken, declined or withdrawn; one that is open at starts_at is taken by nobody any more.
    #[schema(example = "open")]
    status: &'static str,
    created_at: DateTime<Utc>,
    /// When it was taken, declined or withdrawn.
    closed_at: Option<DateTime<Utc>>,
}

impl From<Swap> for SwapView {
    fn from(found: Swap) -> Self {
        let Offer {
            duty,
            offered_to,
            status,
        } = found.offer;
        Self {
            swap_id: found.swap_id,
            schedule_id: found.schedule_id,
            offered_by: duty.staff_id,
            offered_to,
            taken_by: found.taken_by,
            starts_at: duty.starts_at,
            ends_at: duty.ends_at,
            status: status.as_str(),
            created_at: found.created_at,
            closed_at: found.closed_at,
        }
    }
}

impl SwapView {
    fn people(&self) -> impl Iterator<Item = String> {
        [
            Some(&self.offered_by),
            self.offered_to.as_ref(),
            self.taken_by.as_ref(),
        ]
        .into_iter()
        .flatten()
        .cloned()
    }

    fn answer(self, status: StatusCode) -> Result<Answer, Error> {
        Ok(Answer::json(status, &self)?.about(self.people()))
    }
}

/// The offers that end after `from`, by default now, and begin before `until`, by time.
#[utoipa::path(
    tag = "on-call",
    params(
        ("schedule_id" = i64, Path),
        ("from" = Option<DateTime<Utc>>, Query),
        ("until" = Option<DateTime<Utc>>, Query),
        ("limit" = Option<i64>, Query),
        ("cursor" = Option<String>, Query),
    ),
    responses((status = 200, body = Page<SwapView>)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/oncall-schedules/{schedule_id}/swaps")]
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
    let from_row = |row: &Row| Ok(SwapView::from(shift_swaps::from_row(row)?));
    let page = asked
        .page(&state, &shift_swaps::list_sql(), from_row, |last| {
            Soonest(last.starts_at, last.swap_id)
        })
        .await?;
    let people: Vec<String> = page.items.iter().flat_map(SwapView::people).collect();
    Ok(caller.disclose(people, &page).await?)
}

/// The same is offered to the same people already.
fn offered(error: db::Error) -> Error {
    if error.constraint() != Some("uq_shift_swaps_open") {
        return error.into();
    }
    let detail = "You offer this time already. Withdraw that offer first, or wait until it is answered.";
    Problem::conflict(Code::Taken, detail).into()
}

/// Offer the own duty, or a part of it, to a colleague or to whoever is on call. Until somebody takes it nothing changes.
#[utoipa::path(
    tag = "on-call",
    params(("schedule_id" = i64, Path)),
    request_body = SwapBody,
    responses(
        (status = 201, body = SwapView),
        (status = 409, description = "The caller is not on duty for the whole of that time, or offers it already")
    ),
    extensions(("x-principals" = json!(WRITE)))
)]
#[post("/v1/oncall-schedules/{schedule_id}/swaps")]
pub(crate) async fn create(
    state: Data<State>,
    schedule_id: Path<Id>,
    request: Write<SwapBody>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&WRITE)?;
    if body.offered_to.as_ref() == Some(&caller.principal.id) {
        return Err(Problem::invalid_field("/offered_to", "must be somebody else").into());
    }
    let offer = Offer {
        duty: Duty {
            staff_id: caller.principal.id.clone(),
            starts_at: body.starts_at,
            ends_at: body.ends_at,
        },
        offered_to: body.offered_to,
        status: Status::Open,
    };
    let _turn = turn(&state).await?;
    let tx = state.db.begin(&caller.actor()?).await?;
    web::write(tx, &caller, key, async |tx| {
        if !oncall_schedules::exists(tx, **schedule_id).await? {
            return Err(Error::NotFound);
        }
        if let Some(colleague) = &offer.offered_to {
            must_be_on_call(tx, &[(colleague, "/offered_to".to_owned())]).await?;
        }
        let span = (offer.duty.starts_at, offer.duty.ends_at);
        offer.must_be_theirs(&duties(tx, **schedule_id, span).await?)?;
        let made = shift_swaps::insert(tx, **schedule_id, &offer, state.clock.fixed())
            .await
            .map_err(offered)?
            .ok_or_else(|| Problem::invalid_field("/starts_at", "must be in the future"))?;
        SwapView::from(made).answer(StatusCode::CREATED)
    })
    .await
}

/// Locks an offer; with the time. 404 where there is none.
async fn lock(tx: &Tx, state: &State, swap_id: i64) -> Result<(Swap, DateTime<Utc>), Error> {
    let found = shift_swaps::lock(tx, swap_id, state.clock.fixed()).await?;
    found.ok_or(Error::NotFound)
}

/// 403 for whom no shift could be given to either.
async fn must_take_shifts(tx: &Tx, staff_id: &str) -> Result<(), Error> {
    let can = oncall_schedules::staff_on_call(tx, &[staff_id]).await?;
    if can.is_empty() {
        return Err(Problem::forbidden("Only staff with the role oncall take shifts.").into());
    }
    Ok(())
}

/// Take an offer: the caller stands in by an override, which anybody sees among the overrides. Of two who try at the same
/// time one wins.
#[utoipa::path(
    tag = "on-call",
    params(("swap_id" = i64, Path)),
    responses(
        (status = 200, body = SwapView),
        (status = 409, description = "It is open no more, has begun, or is not the duty of who offers it any more")
    ),
    extensions(("x-principals" = json!(WRITE)))
)]
#[post("/v1/shift-swaps/{swap_id}/take")]
pub(crate) async fn take(
    state: Data<State>,
    swap_id: Path<Id>,
    request: Write<()>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, key, .. } = request.allow(&WRITE)?;
    let taker = caller.principal.id.as_str();
    let _turn = turn(&state).await?;
    let tx = state.db.begin(&caller.actor()?).await?;
    web::write(tx, &caller, key, async |tx| {
        let (found, now) = lock(tx, &state, **swap_id).await?;
        must_take_shifts(tx, taker).await?;
        shift_swaps::hold_schedule(tx, found.schedule_id).await?;
        let span = (found.offer.duty.starts_at, found.offer.duty.ends_at);
        let on_duty = duties(tx, found.schedule_id, span).await?;
        let stand_in = found.offer.take(taker, &on_duty, now)?;
        let now = state.clock.fixed();
        // Before the override, which Postgres lets a taker write for an offer that was taken and for no other.
        let taken = shift_swaps::close(tx, **swap_id, Status::Taken, Some(taker), now).await?;
        oncall_overrides::insert(tx, found.schedule_id, &stand_in, taker, now)
            .await?
            .ok_or(Refusal::Begun)?;
        oncall_schedules::settle(tx, now).await?;
        SwapView::from(taken).answer(StatusCode::OK)
    })
    .await
}

/// Decline an offer that was made to the caller.
#[utoipa::path(
    tag = "on-call",
    params(("swap_id" = i64, Path)),
    responses((status = 200, body = SwapView), (status = 409, description = "It is open no more")),
    extensions(("x-principals" = json!(WRITE)))
)]
#[post("/v1/shift-swaps/{swap_id}/decline")]
pub(crate) async fn decline(
    state: Data<State>,
    swap_id: Path<Id>,
    request: Write<()>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, key, .. } = request.allow(&WRITE)?;
    let _turn = turn(&state).await?;
    let tx = state.db.begin(&caller.actor()?).await?;
    web::write(tx, &caller, key, async |tx| {
        let (found, _) = lock(tx, &state, **swap_id).await?;
        found.offer.decline(&caller.principal.id)?;
        let closed = shift_swaps::close(tx, **swap_id, Status::Declined, None, state.clock.fixed()).await?;
        SwapView::from(closed).answer(StatusCode::OK)
    })
    .await
}

/// Take back an own offer that nobody has taken; a supervisor takes back anybody's. One that was taken is an override.
#[utoipa::path(
    tag = "on-call",
    params(("swap_id" = i64, Path)),
    responses((status = 200, body = SwapView), (status = 409, description = "It is open no more")),
    extensions(("x-principals" = json!(WRITE)))
)]
#[post("/v1/shift-swaps/{swap_id}/withdraw")]
pub(crate) async fn withdraw(
    state: Data<State>,
    swap_id: Path<Id>,
    request: Write<()>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, key, .. } = request.allow(&WRITE)?;
    let is_supervisor = caller.allow(&FOR_OTHERS).is_ok();
    let _turn = turn(&state).await?;
    let tx = state.db.begin(&caller.actor()?).await?;
    web::write(tx, &caller, key, async |tx| {
        let (found, _) = lock(tx, &state, **swap_id).await?;
        found.offer.withdraw(&caller.principal.id, is_supervisor)?;
        let closed = shift_swaps::close(tx, **swap_id, Status::Withdrawn, None, state.clock.fixed()).await?;
        SwapView::from(closed).answer(StatusCode::OK)
    })
    .await
}
