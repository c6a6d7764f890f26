//! Teams: whose caseloads a supervisor answers for.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path, ThinData};
use actix_web::{HttpResponse, delete, get, post, put};
use chrono::{DateTime, Utc};
use common::PrincipalKind;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use web::{
    Allowed, Answer, Caller, Code, CursorKey, FieldError, Fields, Granted, Id, Identifier, Page, Paging,
    Problem, Query, Read, Write, read,
};

use super::roles::must_be_staff;
use crate::error::Error;
use crate::state::State;
use crate::store::teams::{self, Member, Team};

const MANAGE: Allowed = Allowed(&[PrincipalKind::Admin]);

const MAX_NAME_BYTES: usize = 255;
/// A team is listed whole.
const MAX_MEMBERS: i64 = 200;
const PARTS: &[&str] = &["supervisor", "member"];
/// Cursors of this list.
const LIST_NAME: &str = "teams";

/// A new team.
#[derive(ToSchema)]
struct TeamBody {
    /// Unique.
    #[schema(max_length = 255)]
    name: String,
}

impl Read for TeamBody {
    const MAX_BODY_BYTES: usize = 4 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let name = fields.required("name", read::text(1..=MAX_NAME_BYTES));
        Some(Self { name: name? })
    }
}

/// A team.
#[derive(Serialize, ToSchema)]
struct TeamView {
    team_id: i64,
    name: String,
    created_at: DateTime<Utc>,
    /// Supervisors first.
    members: Vec<Member>,
}

impl From<Team> for TeamView {
    fn from(found: Team) -> Self {
        Self {
            team_id: found.team_id,
            name: found.name,
            created_at: found.created_at,
            members: found.members,
        }
    }
}

/// Make a team.
#[utoipa::path(
    tag = "teams",
    request_body = TeamBody,
    responses(
        (status = 201, body = TeamView),
        (status = 409, description = "The name is taken")
    ),
    extensions(("x-principals" = json!(MANAGE)))
)]
#[post("/v1/teams")]
pub(crate) async fn create(state: Data<State>, request: Write<TeamBody>) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&MANAGE)?;
    let tx = state.db.begin_worker().await?;
    web::write(tx, &caller, key, async |tx| {
        let team = teams::insert(tx, &body.name).await.map_err(taken)?;
        let location = format!("/v1/teams/{}", team.team_id);
        Ok(Answer::created(location, &TeamView::from(team))?)
    })
    .await
}

fn taken(error: db::Error) -> Error {
    if error.constraint() != Some("uq_teams_name") {
        return error.into();
    }
    let fault = FieldError {
        pointer: "/name".to_owned(),
        detail: "is taken".to_owned(),
    };
    Problem::conflict(Code::Taken, "Another team has this name.")
        .with_errors(vec![fault])
        .into()
}

/// All teams with their members, oldest first.
#[utoipa::path(
    tag = "teams",
    params(("limit" = Option<i64>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Page<TeamView>)),
    extensions(("x-principals" = json!(MANAGE)))
)]
#[get("/v1/teams")]
pub(crate) async fn list(
    state: Data<State>,
    Query(paging): Query<Paging>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&MANAGE)?;
    let after: i64 = cursors.open(LIST_NAME, &caller, &paging)?.unwrap_or(0);
    let limit = paging.limit + 1;
    let rows = state.db.worker_query(teams::LIST, &[&after, &limit]).await?;
    let items = rows
        .iter()
        .map(|row| Ok(teams::from_row(row)?.into()))
        .collect::<Result<Vec<TeamView>, db::Error>>()?;
    let page = Page::cut(items, paging.limit, |last| {
        cursors.seal(LIST_NAME, &caller, &paging, &last.team_id)
    });
    let members: Vec<&str> = page
        .items
        .iter()
        .flat_map(|team| &team.members)
        .map(|member| member.staff_id.as_str())
        .collect();
    Ok(caller.disclose(members, &page).await?)
}

/// A staff user in a team.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct MemberPath {
    #[param(value_type = i64)]
    team_id: Id,
    #[param(value_type = String)]
    staff_id: Identifier,
}

/// What the staff user is in the team.
#[derive(ToSchema)]
struct PartBody {
    /// supervisor or member. A supervisor sees the clients of everybody in the team, with the role supervisor.
    #[schema(value_type = String, example = "member")]
    part: &'static str,
}

impl Read for PartBody {
    const MAX_BODY_BYTES: usize = 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let part = fields.required("part", read::one_of(PARTS));
        Some(Self { part: part? })
    }
}

/// Put a staff user into a team, or change the part. Saying it twice changes nothing.
#[utoipa::path(
    tag = "teams",
    params(MemberPath),
    request_body = PartBody,
    responses(
        (status = 201, body = Member),
        (status = 200, description = "The staff user is in the team already", body = Member),
        (status = 409, description = "The team is full")
    ),
    extensions(("x-principals" = json!(MANAGE)))
)]
#[put("/v1/teams/{team_id}/members/{staff_id}")]
pub(crate) async fn put_member(
    state: Data<State>,
    path: Path<MemberPath>,
    request: Write<PartBody>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&MANAGE)?;
    let tx = state.db.begin_worker().await?;
    web::write(tx, &caller, key, async |tx| {
        let others = teams::lock(tx, *path.team_id, &path.staff_id)
            .await?
            .ok_or(Error::NotFound)?;
        must_be_staff(tx, &path.staff_id, "staff_id").await?;
        if others >= MAX_MEMBERS {
            let detail = format!("A team has at most {MAX_MEMBERS} members.");
            return Err(Problem::conflict(Code::WrongState, detail).into());
        }
        let (member, is_new) = teams::put(tx, *path.team_id, &path.staff_id, body.part).await?;
        let status = if is_new {
            StatusCode::CREATED
        } else {
            StatusCode::OK
        };
        Ok(Answer::json(status, &member)?)
    })
    .await
}

/// Take a staff user out of a team.
#[utoipa::path(
    tag = "teams",
    params(MemberPath),
    responses((status = 204, description = "The staff user is in the team no more")),
    extensions(("x-principals" = json!(MANAGE)))
)]
#[delete("/v1/teams/{team_id}/members/{staff_id}")]
pub(crate) async fn remove_member(
    state: Data<State>,
    path: Path<MemberPath>,
    request: Write<()>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, key, .. } = request.allow(&MANAGE)?;
    let tx = state.db.begin_worker().await?;
    web::write(tx, &caller, key, async |tx| {
        if teams::remove(tx, *path.team_id, &path.staff_id).await? {
            Ok(Answer::no_content())
        } else {
            Err(Error::NotFound)
        }
    })
    .await
}
