//! Who cares for whom.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path, ThinData};
use actix_web::{HttpResponse, delete, get, put};
use chrono::{DateTime, Utc};
use common::PrincipalKind;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use web::{
    Allowed, Answer, Caller, CursorKey, Fields, Granted, Identifier, Page, Paging, Params, Query, Read,
    ReadQuery, Write, read,
};

use crate::domain::user::Kind;
use crate::error::Error;
use crate::state::State;
use crate::store::caseload::{self, Assignment};
use crate::store::users;

const MANAGE: Allowed = Allowed(&[PrincipalKind::Admin]);

const MAX_RELATION_BYTES: usize = 50;
/// Cursors of this list.
const LIST_NAME: &str = "caseload";

/// The two whom an assignment joins.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct Pair {
    #[param(value_type = String)]
    staff_id: Identifier,
    #[param(value_type = String)]
    client_id: Identifier,
}

/// In what role the staff user cares for the client.
#[derive(ToSchema)]
struct RelationBody {
    /// By default counselor; an assignment that lasts keeps its own.
    #[schema(max_length = 50, example = "counselor")]
    relation: Option<String>,
}

impl Read for RelationBody {
    const MAX_BODY_BYTES: usize = 1024;
    const MAY_BE_ABSENT: bool = true;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self {
            relation: fields.optional("relation", read::text(1..=MAX_RELATION_BYTES))?,
        })
    }
}

/// An assignment that lasts.
#[derive(Serialize, ToSchema)]
struct AssignmentView {
    #[serde(skip)]
    id: i64,
    staff_id: String,
    client_id: String,
    relation: String,
    starts_at: DateTime<Utc>,
}

impl From<Assignment> for AssignmentView {
    fn from(found: Assignment) -> Self {
        Self {
            id: found.id,
            staff_id: found.staff_id,
            client_id: found.client_id,
            relation: found.relation,
            starts_at: found.starts_at,
        }
    }
}

/// Assign a client to a staff user. Saying it twice changes nothing.
#[utoipa::path(
    tag = "caseload",
    params(Pair),
    request_body = RelationBody,
    responses(
        (status = 201, body = AssignmentView),
        (status = 200, description = "The assignment lasts already", body = AssignmentView)
    ),
    extensions(("x-principals" = json!(MANAGE)))
)]
#[put("/v1/caseload/{staff_id}/{client_id}")]
pub(crate) async fn assign(
    state: Data<State>,
    path: Path<Pair>,
    request: Write<RelationBody>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&MANAGE)?;
    let (staff_id, client_id) = (&*path.staff_id, &*path.client_id);
    let tx = state.db.begin_worker().await?;
    web::write(tx, &caller, key, async |tx| {
        let kinds = users::hold(tx, &[staff_id, client_id]).await?;
        must_be(kinds.get(staff_id).copied(), Kind::Staff, "staff_id")?;
        must_be(kinds.get(client_id).copied(), Kind::Client, "client_id")?;
        let (assignment, is_new) =
            caseload::assign(tx, staff_id, client_id, body.relation.as_deref()).await?;
        let status = if is_new {
            StatusCode::CREATED
        } else {
            StatusCode::OK
        };
        Ok(Answer::json(status, &AssignmentView::from(assignment))?)
    })
    .await
}

/// 404 for an account that is absent, 422 for one of another kind.
pub(super) fn must_be(found: Option<Kind>, wanted: Kind, field: &str) -> Result<(), Error> {
    match found {
        None => Err(Error::NotFound),
        Some(found) if found == wanted => Ok(()),
        Some(_) => Err(Error::refused(
            field,
            format!("must be the id of a {} account", wanted.as_str()),
        )),
    }
}

/// End an assignment.
#[utoipa::path(
    tag = "caseload",
    params(Pair),
    responses((status = 204, description = "It has ended")),
    extensions(("x-principals" = json!(MANAGE)))
)]
#[delete("/v1/caseload/{staff_id}/{client_id}")]
pub(crate) async fn end(
    state: Data<State>,
    path: Path<Pair>,
    request: Write<()>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, key, .. } = request.allow(&MANAGE)?;
    let tx = state.db.begin_worker().await?;
    web::write(tx, &caller, key, async |tx| {
        if caseload::end(tx, &path.staff_id, &path.client_id).await? {
            Ok(Answer::no_content())
        } else {
            Err(Error::NotFound)
        }
    })
    .await
}

/// Whose assignments are asked for.
struct ListQuery {
    staff_id: Option<String>,
    client_id: Option<String>,
    paging: Paging,
}

impl ReadQuery for ListQuery {
    fn read(params: &mut Params) -> Option<Self> {
        let staff_id = params.optional("staff_id", read::identifier);
        let client_id = params.optional("client_id", read::identifier);
        let paging = Paging::read(params);
        Some(Self {
            staff_id: staff_id?,
            client_id: client_id?,
            paging: paging?,
        })
    }
}

/// The assignments that last, oldest first.
#[utoipa::path(
    tag = "caseload",
    params(
        ("staff_id" = Option<String>, Query),
        ("client_id" = Option<String>, Query),
        ("limit" = Option<i64>, Query),
        ("cursor" = Option<String>, Query)
    ),
    responses((status = 200, body = Page<AssignmentView>)),
    extensions(("x-principals" = json!(MANAGE)))
)]
#[get("/v1/caseload")]
pub(crate) async fn list(
    state: Data<State>,
    Query(query): Query<ListQuery>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&MANAGE)?;
    let after: i64 = cursors.open(LIST_NAME, &caller, &query.paging)?.unwrap_or(0);
    let limit = query.paging.limit + 1;
    let params: db::Params<'_> = &[&query.staff_id, &query.client_id, &after, &limit];
    let sql = caseload::list_sql(query.staff_id.is_some(), query.client_id.is_some());
    let rows = state.db.worker_query(sql, params).await?;
    let items = rows
        .iter()
        .map(|row| Ok(caseload::from_row(row)?.into()))
        .collect::<Result<Vec<AssignmentView>, db::Error>>()?;
    let page = Page::cut(items, query.paging.limit, |last| {
        cursors.seal(LIST_NAME, &caller, &query.paging, &last.id)
    });
    let joined: Vec<&str> = page
        .items
        .iter()
        .flat_map(|pair| [pair.staff_id.as_str(), pair.client_id.as_str()])
        .collect();
    Ok(caller.disclose(joined, &page).await?)
}
