//! Break-glass: sight of a client beyond the own caseload, for a reason, for an hour, and looked at afterwards.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path, ThinData};
use actix_web::{HttpResponse, get, post};
use bus::NewEvent;
use chrono::{DateTime, Utc};
use common::PrincipalKind;
use common::contracts::{BreakGlassGranted, BreakGlassReviewed};
use serde::Serialize;
use utoipa::ToSchema;
use web::{
    Allowed, Answer, Caller, Code, CursorKey, Fields, Granted, Id, Page, Paging, Params, Problem, Query,
    Read, ReadQuery, Write, read,
};

use crate::domain::break_glass::{GRANT_MINUTES, MAX_GRANTS_PER_DAY, note, reason};
use crate::error::Error;
use crate::state::State;
use crate::store::break_glass::{self, Grant};

const TAKE: Allowed = Allowed(&[PrincipalKind::Counselor, PrincipalKind::Oncall]);
const REVIEW: Allowed = Allowed(&[PrincipalKind::Supervisor]);

const STATES: &[&str] = &["open", "reviewed"];
/// Cursors of this list.
const LIST_NAME: &str = "break-glass";

/// Whom somebody must see, and why.
#[derive(ToSchema)]
struct TakeBody {
    client_id: String,
    /// 10 to 2,000 characters; a supervisor reads it.
    reason: String,
}

impl Read for TakeBody {
    const MAX_BODY_BYTES: usize = 64 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let client_id = fields.required("client_id", read::identifier);
        let reason = fields.required("reason", read::parsed(reason, "10 to 2,000 characters"));
        Some(Self {
            client_id: client_id?,
            reason: reason?,
        })
    }
}

/// A grant; the reason is not sent back.
#[derive(Serialize, ToSchema)]
struct GrantBody<'a> {
    id: i64,
    client_id: &'a str,
    created_at: DateTime<Utc>,
    /// Until then the client is seen as one of the own caseload.
    expires_at: DateTime<Utc>,
}

fn too_many(seconds: u64) -> Problem {
    let detail = format!(
        "You took {MAX_GRANTS_PER_DAY} grants within 24 hours. The next one can be taken after the seconds in Retry-After."
    );
    Problem::too_many(seconds.max(1), detail)
}

/// See a client of somebody else's caseload for an hour, as if the client were on the own one. A supervisor reviews it.
/// While a grant for the client is in force, asking again finds it.
#[utoipa::path(
    tag = "break-glass",
    request_body = TakeBody,
    responses(
        (status = 201, body = GrantBody),
        (status = 200, description = "A grant for the client is in force", body = GrantBody),
        (status = 429, description = "The staff user took ten within a day")
    ),
    extensions(("x-principals" = json!(TAKE)))
)]
#[post("/v1/break-glass")]
pub(crate) async fn take(state: Data<State>, request: Write<TakeBody>) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&TAKE)?;
    let staff_id = caller.principal.id.as_str();
    let tx = state.db.begin_worker().await?;
    web::write(tx, &caller, key, async |tx| {
        let standing = break_glass::stand(tx, staff_id, &body.client_id)
            .await?
            .ok_or(Error::NotFound)?;
        let (grant, status) = match standing.in_force {
            Some(grant) => (grant, StatusCode::OK),
            None if standing.within_a_day >= MAX_GRANTS_PER_DAY => {
                let seconds = u64::try_from(standing.room_in_seconds).unwrap_or_default();
                return Err(too_many(seconds).into());
            }
            None => {
                let grant =
                    break_glass::insert(tx, staff_id, &body.client_id, &body.reason, GRANT_MINUTES).await?;
                state.outbox.enqueue(tx, vec![granted(&grant)?]);
                (grant, StatusCode::CREATED)
            }
        };
        let view = GrantBody {
            id: grant.grant_id,
            client_id: &grant.client_id,
            created_at: grant.created_at,
            expires_at: grant.expires_at,
        };
        Ok::<_, Error>(Answer::json(status, &view)?.about([&body.client_id]))
    })
    .await
}

fn granted(grant: &Grant) -> Result<NewEvent, Error> {
    let granted = BreakGlassGranted {
        grant_id: grant.grant_id,
        user_id: grant.client_id.clone(),
        granted_at: grant.created_at,
        expires_at: grant.expires_at,
    };
    Ok(NewEvent::of(Some(grant.client_id.clone()), &granted)?)
}

/// Which grants are asked for.
struct ListQuery {
    state: Option<&'static str>,
    paging: Paging,
}

impl ReadQuery for ListQuery {
    fn read(params: &mut Params) -> Option<Self> {
        let state = params.optional("state", read::one_of(STATES));
        let paging = Paging::read(params);
        Some(Self {
            state: state?,
            paging: paging?,
        })
    }
}

/// A grant as its reviewers see it.
#[derive(Serialize, ToSchema)]
struct GrantView {
    id: i64,
    /// Null once that account is gone.
    staff_id: Option<String>,
    client_id: String,
    reason: String,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    reviewed_by: Option<String>,
    /// Null while the review is open.
    reviewed_at: Option<DateTime<Utc>>,
    review_note: Option<String>,
}

impl From<Grant> for GrantView {
    fn from(found: Grant) -> Self {
        Self {
            id: found.grant_id,
            staff_id: found.staff_id,
            client_id: found.client_id,
            reason: found.reason,
            created_at: found.created_at,
            expires_at: found.expires_at,
            reviewed_by: found.reviewed_by,
            reviewed_at: found.reviewed_at,
            review_note: found.review_note,
        }
    }
}

/// Grants that the caller reviews, oldest first: those of staff and clients of the own teams, and those that are in
/// nobody's. The caller's own may be among them, to be reviewed by somebody else.
#[utoipa::path(
    tag = "break-glass",
    params(
        ("state" = Option<String>, Query, description = "open or reviewed"),
        ("limit" = Option<i64>, Query),
        ("cursor" = Option<String>, Query)
    ),
    responses((status = 200, body = Page<GrantView>)),
    extensions(("x-principals" = json!(REVIEW)))
)]
#[get("/v1/break-glass")]
pub(crate) async fn list(
    state: Data<State>,
    Query(query): Query<ListQuery>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&REVIEW)?;
    let after: i64 = cursors.open(LIST_NAME, &caller, &query.paging)?.unwrap_or(0);
    let (reviewed, limit) = (query.state.map(|word| word == "reviewed"), query.paging.limit + 1);
    let params: db::Params<'_> = &[&caller.principal.id, &reviewed, &after, &limit];
    let rows = state.db.worker_query(&break_glass::list_sql(), params).await?;
    let items = rows
        .iter()
        .map(|row| Ok(break_glass::from_row(row)?.into()))
        .collect::<Result<Vec<GrantView>, db::Error>>()?;
    let page = Page::cut(items, query.paging.limit, |last| {
        cursors.seal(LIST_NAME, &caller, &query.paging, &last.id)
    });
    let people: Vec<String> = page
        .items
        .iter()
        .flat_map(|grant| {
            grant
                .staff_id
                .clone()
                .into_iter()
                .chain([grant.client_id.clone()])
        })
        .collect();
    Ok(caller.disclose(people, &page).await?)
}

/// What the supervisor found.
#[derive(ToSchema)]
struct GrantReviewBody {
    /// Up to 2,000 characters.
    note: Option<String>,
}

impl Read for GrantReviewBody {
    const MAX_BODY_BYTES: usize = 64 * 1024;
    const MAY_BE_ABSENT: bool = true;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let note = fields.optional("note", read::parsed(note, "1 to 2,000 characters"));
        Some(Self { note: note? })
    }
}

/// A review; the note is not sent back.
#[derive(Serialize, ToSchema)]
struct ReviewedBody {
    id: i64,
    reviewed_by: Option<String>,
    reviewed_at: Option<DateTime<Utc>>,
}

/// Close the review of a grant. Nobody reviews the own.
#[utoipa::path(
    tag = "break-glass",
    params(("grant_id" = i64, Path)),
    request_body = GrantReviewBody,
    responses(
        (status = 200, body = ReviewedBody),
        (status = 403, description = "It is the caller's own"),
        (status = 409, description = "It was reviewed before")
    ),
    extensions(("x-principals" = json!(REVIEW)))
)]
#[post("/v1/break-glass/{grant_id}/review")]
pub(crate) async fn review(
    state: Data<State>,
    grant_id: Path<Id>,
    request: Write<GrantReviewBody>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&REVIEW)?;
    let supervisor = caller.principal.id.as_str();
    let tx = state.db.begin_worker().await?;
    web::write(tx, &caller, key, async |tx| {
        let (found, is_theirs) = break_glass::lock(tx, **grant_id, supervisor)
            .await?
            .ok_or(Error::NotFound)?;
        if found.staff_id.as_deref() == Some(supervisor) {
            return Err(Problem::forbidden("Nobody reviews the own break-glass.").into());
        }
        if !is_theirs {
            return Err(Error::NotFound);
        }
        if found.reviewed_at.is_some() {
            return Err(Problem::conflict(Code::WrongState, "It was reviewed before.").into());
        }
        let grant = break_glass::review(tx, **grant_id, supervisor, body.note.as_deref()).await?;
        state.outbox.enqueue(tx, vec![reviewed(&grant)?]);
        let view = ReviewedBody {
            id: grant.grant_id,
            reviewed_by: grant.reviewed_by,
            reviewed_at: grant.reviewed_at,
        };
        let people = grant.staff_id.into_iter().chain([grant.client_id]);
        Ok::<_, Error>(Answer::ok(&view)?.about(people))
    })
    .await
}

fn reviewed(grant: &Grant) -> Result<NewEvent, Error> {
    let at = grant.reviewed_at;
    let reviewed = BreakGlassReviewed {
        grant_id: grant.grant_id,
        user_id: grant.client_id.clone(),
        reviewed_at: at.ok_or_else(|| db::Error::Row("a review without a time".to_owned()))?,
    };
    Ok(NewEvent::of(Some(grant.client_id.clone()), &reviewed)?)
}
