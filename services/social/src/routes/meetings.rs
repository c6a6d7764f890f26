//! Meetings of a client with a counselor: proposed, agreed to by the client, confirmed by the counselor.

pub(crate) mod calendar;
pub(crate) mod moving;

use actix_web::web::{Data, Path, ThinData};
use actix_web::{HttpResponse, get, post};
use chrono::{DateTime, Utc};
use common::contracts::{MeetingChanged, meeting};
use common::{MeetingStatus, PrincipalKind};
use serde::Serialize;
use utoipa::ToSchema;
use web::{
    Allowed, Answer, Caller, CursorKey, Fields, Granted, Id, Newest, Page, Paging, Params, Problem, Query,
    Read, ReadQuery, Write, read,
};

use super::ahead::must_be_ahead;
use super::escalations::MAX_NOTES_BYTES;
use super::profiles::must_care_for;
use crate::domain::meeting::{DEFAULT_MINUTES, MAX_AHEAD_DAYS, Slot};
use crate::error::Error;
use crate::state::State;
use crate::store::meetings::{self, Insert, Meeting};
use crate::store::profiles;

const PROPOSE: Allowed = Allowed(&[
    PrincipalKind::Client,
    PrincipalKind::App,
    PrincipalKind::Counselor,
]);
const READ: Allowed = Allowed(&[
    PrincipalKind::Client,
    PrincipalKind::App,
    PrincipalKind::Counselor,
    PrincipalKind::Supervisor,
]);
const AGREE: Allowed = Allowed(&[PrincipalKind::Client, PrincipalKind::App]);
const HOLD: Allowed = Allowed(&[PrincipalKind::Counselor]);

/// What meetings are for.
const TYPES: &[&str] = &["session", "check_in", "follow_up", "urgent"];
/// Cursors of the list.
const LIST_NAME: &str = "meetings";

/// A meeting.
#[derive(Serialize, ToSchema)]
struct MeetingView {
    meeting_id: i64,
    user_id: String,
    created_at: DateTime<Utc>,
    /// session, check_in, follow_up or urgent.
    meeting_type: String,
    #[schema(value_type = String, example = "scheduled")]
    status: MeetingStatus,
    /// Null while it is open.
    scheduled_time: Option<DateTime<Utc>>,
    duration_minutes: i32,
    ends_at: Option<DateTime<Utc>>,
    /// Null while any counselor may take it.
    counselor_id: Option<String>,
    /// Whether the client agreed to it.
    user_consent: bool,
    consent_given_at: Option<DateTime<Utc>>,
    completed_at: Option<DateTime<Utc>>,
    cancel_reason: Option<String>,
    /// The meeting to which the client did not come.
    follow_up_of: Option<i64>,
    /// Staff only.
    #[serde(skip_serializing_if = "Option::is_none")]
    notes: Option<String>,
}

impl MeetingView {
    fn new(found: Meeting, caller: &Caller) -> Self {
        let standing = found.standing;
        Self {
            meeting_id: found.meeting_id,
            user_id: found.user_id,
            created_at: found.created_at,
            meeting_type: found.meeting_type,
            status: standing.status,
            scheduled_time: standing.slot.map(|slot| slot.starts_at),
            duration_minutes: found.duration_minutes,
            ends_at: standing.slot.map(Slot::ends_at),
            counselor_id: standing.counselor_id,
            user_consent: standing.is_agreed,
            consent_given_at: found.consent_given_at,
            completed_at: found.completed_at,
            cancel_reason: found.cancel_reason,
            follow_up_of: found.follow_up_of,
            notes: found.notes.filter(|_| is_staff(caller)),
        }
    }
}

fn is_staff(caller: &Caller) -> bool {
    caller.allow(&AGREE).is_err()
}

/// A meeting that somebody proposes.
#[derive(ToSchema)]
struct NewMeeting {
    /// The client.
    user_id: String,
    /// session, check_in, follow_up or urgent.
    #[schema(value_type = String)]
    meeting_type: &'static str,
    /// Who has the client in the caseload; for a counselor by default the caller, for a client whoever confirms.
    counselor_id: Option<String>,
    /// When, within a year; without it that is left open.
    #[schema(value_type = Option<DateTime<Utc>>)]
    scheduled_time: Option<Slot>,
    /// 5 to 480; goes with scheduled_time, by default 30.
    #[schema(value_type = Option<i32>)]
    #[expect(dead_code, reason = "describes the body; it is read with scheduled_time")]
    duration_minutes: (),
    /// For staff, up to 8 KiB.
    notes: Option<String>,
}

impl Read for NewMeeting {
    const MAX_BODY_BYTES: usize = 16 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let user_id = fields.required("user_id", read::identifier);
        let meeting_type = fields.required("meeting_type", read::one_of(TYPES));
        let counselor_id = fields.optional("counselor_id", read::identifier);
        let slot = read_slot(fields);
        let notes = fields.optional("notes", read::text(1..=MAX_NOTES_BYTES));
        Some(Self {
            user_id: user_id?,
            meeting_type: meeting_type?,
            counselor_id: counselor_id?,
            scheduled_time: slot?,
            duration_minutes: (),
            notes: notes?,
        })
    }
}

/// When a meeting takes place, where somebody says so.
fn read_slot(fields: &mut Fields<'_>) -> Option<Option<Slot>> {
    let starts_at = fields.optional("scheduled_time", read::moment);
    let minutes = fields.optional("duration_minutes", read::integer(5..=480));
    match (starts_at?, minutes?) {
        (None, Some(_)) => {
            fields.fault("duration_minutes", "goes with scheduled_time");
            None
        }
        (starts_at, minutes) => Some(starts_at.map(|starts_at| Slot {
            starts_at,
            minutes: minutes.unwrap_or(DEFAULT_MINUTES),
        })),
    }
}

/// Propose a meeting. Where a counselor names a time, that is kept for it: 409 where the counselor or the client has another
/// meeting then. Who asks as the client has agreed to it.
#[utoipa::path(
    tag = "meetings",
    request_body = NewMeeting,
    responses((status = 201, body = MeetingView), (status = 409, description = "The time is taken")),
    extensions(("x-principals" = json!(PROPOSE)))
)]
#[post("/v1/meetings")]
pub(crate) async fn create(state: Data<State>, request: Write<NewMeeting>) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&PROPOSE)?;
    let actor = caller.actor_for(&body.user_id)?;
    must_care_for(&state, &actor, &body.user_id).await?;
    let (now, slot, by_staff) = (state.clock.fixed(), body.scheduled_time, is_staff(&caller));
    let starts_at = slot.map(|slot| slot.starts_at);
    must_be_ahead(starts_at, MAX_AHEAD_DAYS, "/scheduled_time", now)?;
    if body.notes.is_some() && !by_staff {
        return Err(Problem::invalid_field("/notes", "are for staff").into());
    }
    let own = by_staff.then_some(caller.principal.id.as_str());
    let tx = state.db.begin(&actor).await?;
    web::write(tx, &caller, key, async |tx| {
        profiles::lock(tx, &[&body.user_id]).await?;
        let named = body.counselor_id.as_deref();
        if let Some(staff_id) = named
            && !meetings::counsels(tx, staff_id, &body.user_id).await?
        {
            let detail = "must be a counselor who has the client in the caseload";
            return Err(Problem::invalid_field("/counselor_id", detail).into());
        }
        let new = Insert {
            user_id: &body.user_id,
            meeting_type: body.meeting_type,
            counselor_id: named.or(own),
            slot,
            // A client asks for a time, and keeps nobody's calendar.
            status: if by_staff && slot.is_some() {
                MeetingStatus::Scheduled
            } else {
                MeetingStatus::Proposed
            },
            is_agreed: !by_staff,
            notes: body.notes.as_deref(),
            follow_up_of: None,
        };
        let made = meetings::insert(tx, &new, now).await?;
        if made.standing.status == MeetingStatus::Scheduled {
            state
                .outbox
                .enqueue(tx, vec![changed(meeting::SCHEDULED, &made)?]);
        }
        let location = format!("/v1/meetings/{}", made.meeting_id);
        let view = MeetingView::new(made, &caller);
        Ok(Answer::created(location, &view)?.about([&view.user_id]))
    })
    .await
}

/// The event of a meeting's change.
fn changed(event_type: &'static str, found: &Meeting) -> Result<bus::NewEvent, Error> {
    let data = MeetingChanged {
        meeting_id: found.meeting_id,
        user_id: found.user_id.clone(),
        status: found.standing.status,
        scheduled_time: found.standing.slot.map(|slot| slot.starts_at),
    };
    Ok(bus::NewEvent::new(
        event_type,
        Some(found.user_id.clone()),
        &data,
    )?)
}

/// Which meetings are listed.
struct ListQuery {
    user_id: Option<String>,
    counselor_id: Option<String>,
    status: Option<MeetingStatus>,
    from: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
    paging: Paging,
}

impl ReadQuery for ListQuery {
    fn read(params: &mut Params) -> Option<Self> {
        let user_id = params.optional("user_id", read::identifier);
        let counselor_id = params.optional("counselor_id", read::identifier);
        let status = params.optional(
            "status",
            read::parsed(|word| word.parse().ok(), "a status, such as confirmed"),
        );
        let from = params.optional("from", read::moment);
        let until = params.optional("until", read::moment);
        let paging = Paging::read(params);
        Some(Self {
            user_id: user_id?,
            counselor_id: counselor_id?,
            status: status?,
            from: from?,
            until: until?,
            paging: paging?,
        })
    }
}

/// Meetings that the caller may see, latest first: by when they take place, or were proposed where that is open. `from` and
/// `until` leave out those that are over by then, or begin later, and those without a time.
#[utoipa::path(
    tag = "meetings",
    params(
        ("user_id" = Option<String>, Query),
        ("counselor_id" = Option<String>, Query),
        ("status" = Option<String>, Query),
        ("from" = Option<DateTime<Utc>>, Query),
        ("until" = Option<DateTime<Utc>>, Query),
        ("limit" = Option<i64>, Query),
        ("cursor" = Option<String>, Query),
    ),
    responses((status = 200, body = Page<MeetingView>)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/meetings")]
pub(crate) async fn list(
    state: Data<State>,
    Query(query): Query<ListQuery>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let actor = caller.actor()?;
    // An empty list would say that there is somebody who has none.
    if let Some(client) = query.user_id.as_ref().or(caller.on_behalf_of.as_ref()) {
        must_care_for(&state, &actor, client).await?;
    }
    let Newest(at, id) = cursors
        .open(LIST_NAME, &caller, &query.paging)?
        .unwrap_or_default();
    let status = query.status.map(MeetingStatus::as_str);
    let limit = query.paging.limit + 1;
    let params: db::Params<'_> = &[
        &query.user_id,
        &query.counselor_id,
        &status,
        &query.from,
        &query.until,
        &at,
        &id,
        &limit,
    ];
    let rows = state.db.read(&actor, &meetings::list_sql(), params).await?;
    let found = rows
        .iter()
        .map(meetings::from_row)
        .collect::<Result<Vec<_>, _>>()?;
    let page = Page::cut(found, query.paging.limit, |last| {
        let at = last.standing.slot.map_or(last.created_at, |slot| slot.starts_at);
        cursors.seal(LIST_NAME, &caller, &query.paging, &Newest(at, last.meeting_id))
    });
    let page = page.map(|found| MeetingView::new(found, &caller));
    let shown: Vec<&str> = page.items.iter().map(|one| one.user_id.as_str()).collect();
    Ok(caller.disclose(shown, &page).await?)
}

/// One meeting.
#[utoipa::path(
    tag = "meetings",
    responses((status = 200, body = MeetingView)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/meetings/{meeting_id}")]
pub(crate) async fn find(
    state: Data<State>,
    meeting_id: Path<Id>,
    _: Query<()>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let rows = state
        .db
        .read(&caller.actor()?, &meetings::find_sql(), &[&**meeting_id])
        .await?;
    let found = meetings::from_row(rows.first().ok_or(Error::NotFound)?)?;
    let client = found.user_id.clone();
    Ok(caller
        .disclose([client], &MeetingView::new(found, &caller))
        .await?)
}
