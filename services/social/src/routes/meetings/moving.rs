//! What becomes of a meeting: the client agrees, the counselor confirms, it takes place or it does not.

use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, post};
use chrono::{DateTime, Utc};
use common::PrincipalKind;
use common::contracts::meeting;
use db::Tx;
use utoipa::ToSchema;
use web::{Allowed, Answer, Caller, Code, Fields, Granted, Id, Problem, Read, Write, read};

use super::super::ahead::must_be_ahead;
use super::{AGREE, HOLD, MAX_NOTES_BYTES, MeetingView, changed, read_slot};
use crate::domain::meeting::{MAX_AHEAD_DAYS, Slot};
use crate::error::Error;
use crate::ops::end_meeting::{Ending, end};
use crate::state::State;
use crate::store::meetings::{self, Meeting};
use crate::store::profiles;

const CANCEL: Allowed = Allowed(&[
    PrincipalKind::Client,
    PrincipalKind::App,
    PrincipalKind::Counselor,
]);
/// How a meeting that was confirmed ends.
const OUTCOMES: &[&str] = &["completed", "no_show"];

/// Locks a meeting, its client first as in everything that is done about one; 404 where the caller does not see it.
async fn lock(tx: &Tx, meeting_id: i64, state: &State) -> Result<(Meeting, DateTime<Utc>), Error> {
    let client = meetings::client(tx, meeting_id).await?.ok_or(Error::NotFound)?;
    profiles::lock(tx, &[&client]).await?;
    let found = meetings::lock(tx, meeting_id, state.clock.fixed()).await?;
    found.ok_or(Error::NotFound)
}

fn answer(moved: Meeting, caller: &Caller) -> Result<Answer, Error> {
    let view = MeetingView::new(moved, caller);
    Ok(Answer::ok(&view)?.about([&view.user_id]))
}

/// The client agrees to a meeting as it is proposed; agreeing again changes nothing.
#[utoipa::path(
    tag = "meetings",
    responses((status = 200, body = MeetingView)),
    extensions(("x-principals" = json!(AGREE)))
)]
#[post("/v1/meetings/{meeting_id}/consent")]
pub(crate) async fn consent(
    state: Data<State>,
    meeting_id: Path<Id>,
    request: Write<()>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, key, .. } = request.allow(&AGREE)?;
    let tx = state.db.begin(&caller.actor()?).await?;
    web::write(tx, &caller, key, async |tx| {
        let (found, now) = lock(tx, **meeting_id, &state).await?;
        found.standing.agree(now)?;
        if found.standing.is_agreed {
            return answer(found, &caller);
        }
        let agreed = meetings::agree(tx, **meeting_id, now).await?;
        state
            .outbox
            .enqueue(tx, vec![changed(meeting::CONSENTED, &agreed)?]);
        answer(agreed, &caller)
    })
    .await
}

/// When a meeting takes place, where that was left open.
#[derive(ToSchema)]
struct Confirm {
    /// Only where the meeting has no time.
    #[schema(value_type = Option<DateTime<Utc>>)]
    scheduled_time: Option<Slot>,
    /// 5 to 480; goes with scheduled_time, by default 30.
    #[schema(value_type = Option<i32>)]
    #[expect(dead_code, reason = "describes the body; it is read with scheduled_time")]
    duration_minutes: (),
}

impl Read for Confirm {
    const MAX_BODY_BYTES: usize = 1024;
    const MAY_BE_ABSENT: bool = true;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self {
            scheduled_time: read_slot(fields)?,
            duration_minutes: (),
        })
    }
}

/// Confirm a meeting to which the client agreed. The client's consent with the purpose meeting is asked for here, and held
/// until the confirmation is stored. Who confirms a proposal has it from then on.
#[utoipa::path(
    tag = "meetings",
    request_body = Confirm,
    responses(
        (status = 200, body = MeetingView),
        (status = 403, description = "consent-required: the client has not consented to be met"),
        (status = 409, description = "The client has not agreed to it, its time is taken or has passed, or another counselor has it")
    ),
    extensions(("x-principals" = json!(HOLD)))
)]
#[post("/v1/meetings/{meeting_id}/confirm")]
pub(crate) async fn confirm(
    state: Data<State>,
    meeting_id: Path<Id>,
    request: Write<Confirm>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&HOLD)?;
    let starts_at = body.scheduled_time.map(|slot| slot.starts_at);
    must_be_ahead(starts_at, MAX_AHEAD_DAYS, "/scheduled_time", state.clock.fixed())?;
    let counselor = caller.principal.id.as_str();
    let tx = state.db.begin(&caller.actor()?).await?;
    web::write(tx, &caller, key, async |tx| {
        let (found, now) = lock(tx, **meeting_id, &state).await?;
        let slot = found.standing.confirm(counselor, body.scheduled_time, now)?;
        if !meetings::hold_consent(tx, &found.user_id).await? {
            return Err(Problem::new(
                Code::ConsentRequired,
                "The client has not consented to be met. Ask the client for a consent with the purpose meeting.",
            )
            .into());
        }
        let confirmed = meetings::confirm(tx, **meeting_id, counselor, slot).await?;
        state
            .outbox
            .enqueue(tx, vec![changed(meeting::SCHEDULED, &confirmed)?]);
        answer(confirmed, &caller)
    })
    .await
}

/// How a meeting went.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; Ending is what it is read into")]
struct EndingBody {
    /// completed, the default, or no_show.
    outcome: Option<String>,
    /// For staff, up to 8 KiB.
    notes: Option<String>,
    /// For no_show: when the meeting is proposed for that follows.
    next_contact_at: Option<DateTime<Utc>>,
}

impl Read for Ending {
    const MAX_BODY_BYTES: usize = 16 * 1024;
    const MAY_BE_ABSENT: bool = true;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let outcome = fields.optional("outcome", read::one_of(OUTCOMES));
        let notes = fields.optional("notes", read::text(1..=MAX_NOTES_BYTES));
        let next_contact_at = fields.optional("next_contact_at", read::moment);
        let (outcome, next_contact_at) = (outcome?, next_contact_at?);
        let came = outcome != Some("no_show");
        if came && next_contact_at.is_some() {
            fields.fault("next_contact_at", "is for no_show");
            return None;
        }
        Some(Self {
            came,
            notes: notes?,
            next_contact_at,
        })
    }
}

/// Say how a confirmed meeting went, once it has begun. Where the client did not come, a meeting is proposed that follows;
/// of a client at high risk an escalation is raised.
#[utoipa::path(
    tag = "meetings",
    request_body = EndingBody,
    responses((status = 200, body = MeetingView)),
    extensions(("x-principals" = json!(HOLD)))
)]
#[post("/v1/meetings/{meeting_id}/complete")]
pub(crate) async fn complete(
    state: Data<State>,
    meeting_id: Path<Id>,
    request: Write<Ending>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&HOLD)?;
    let next = body.next_contact_at;
    must_be_ahead(next, MAX_AHEAD_DAYS, "/next_contact_at", state.clock.fixed())?;
    let tx = state.db.begin(&caller.actor()?).await?;
    web::write(tx, &caller, key, async |tx| {
        let (found, now) = lock(tx, **meeting_id, &state).await?;
        found.standing.end(now)?;
        let (ended, mut events) = end(tx, &found, &body, &caller.principal.id, now).await?;
        events.push(changed(meeting::COMPLETED, &ended)?);
        state.outbox.enqueue(tx, events);
        answer(ended, &caller)
    })
    .await
}

/// Why a meeting does not take place.
#[derive(ToSchema)]
struct CallOff {
    /// Both read it; up to 8 KiB.
    reason: Option<String>,
}

impl Read for CallOff {
    const MAX_BODY_BYTES: usize = 16 * 1024;
    const MAY_BE_ABSENT: bool = true;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let reason = fields.optional("reason", read::text(1..=MAX_NOTES_BYTES));
        Some(Self { reason: reason? })
    }
}

/// Call a meeting off.
#[utoipa::path(
    tag = "meetings",
    request_body = CallOff,
    responses((status = 200, body = MeetingView)),
    extensions(("x-principals" = json!(CANCEL)))
)]
#[post("/v1/meetings/{meeting_id}/cancel")]
pub(crate) async fn cancel(
    state: Data<State>,
    meeting_id: Path<Id>,
    request: Write<CallOff>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&CANCEL)?;
    let tx = state.db.begin(&caller.actor()?).await?;
    web::write(tx, &caller, key, async |tx| {
        let (found, _) = lock(tx, **meeting_id, &state).await?;
        found.standing.cancel()?;
        let cancelled = meetings::cancel(tx, **meeting_id, body.reason.as_deref()).await?;
        state
            .outbox
            .enqueue(tx, vec![changed(meeting::CANCELLED, &cancelled)?]);
        answer(cancelled, &caller)
    })
    .await
}
