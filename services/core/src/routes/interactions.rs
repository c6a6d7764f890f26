//! Sessions of staff with clients. Who speaks with whom may become known while they speak.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path, ThinData};
use actix_web::{HttpResponse, get, put};
use chrono::{DateTime, Utc};
use common::PrincipalKind;
use db::Tx;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;
use web::{
    Allowed, Answer, Caller, Code, CursorKey, Fields, Granted, Holder, Identifier, NOBODY_ELSE, Page, Paging,
    Problem, Query, Read, Write, read,
};

use crate::domain::interaction::NewSession;
use crate::error::Error;
use crate::state::State;
use crate::store::interaction_sessions::{self, Session};
use crate::store::users;

pub(super) const HOLD: Allowed = Allowed(&[PrincipalKind::App, PrincipalKind::Counselor]);

const MAX_METADATA_BYTES: usize = 16 * 1024;

/// Who is in a session.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; NewSession is what it is read into")]
struct InteractionBody {
    /// Who holds it: a counselor holds the own ones, an app names a member of staff.
    employee_id: String,
    /// With whom; an app must say so. It may be left out until it is known, and stays what it is where it is left out.
    client_id: Option<String>,
    /// Up to 16 KiB as JSON; it stays what it is where it is left out.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
}

impl Read for NewSession {
    const MAX_BODY_BYTES: usize = 64 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let employee_id = fields.required("employee_id", read::identifier);
        let client_id = fields.optional("client_id", read::identifier);
        let metadata = fields.optional("metadata", read::object(MAX_METADATA_BYTES));
        Some(Self {
            employee_id: employee_id?,
            client_id: client_id?,
            metadata: metadata?,
        })
    }
}

/// A session.
#[derive(Serialize, ToSchema)]
struct InteractionView {
    id: Uuid,
    session_key: String,
    /// Null once that account is erased.
    employee_id: Option<String>,
    /// Null until that is known.
    client_id: Option<String>,
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
    created_at: DateTime<Utc>,
}

impl From<Session> for InteractionView {
    fn from(found: Session) -> Self {
        Self {
            id: found.id,
            session_key: found.session_key,
            employee_id: found.parties.employee_id,
            client_id: found.parties.client_id,
            metadata: found.metadata,
            created_at: found.created_at,
        }
    }
}

/// Begin a session under a name of the app's, say who its client is, or note something of it. The same again changes
/// nothing.
#[utoipa::path(
    tag = "interactions",
    params(("session_key" = String, Path)),
    request_body = InteractionBody,
    responses(
        (status = 201, body = InteractionView),
        (status = 200, description = "It stood already", body = InteractionView),
        (status = 409, description = "It stands with other people in it")
    ),
    extensions(("x-principals" = json!(HOLD)))
)]
#[put("/v1/interactions/{session_key}")]
pub(crate) async fn put(
    state: Data<State>,
    session_key: Path<Identifier>,
    request: Write<NewSession>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&HOLD)?;
    let actor = match &body.client_id {
        Some(client_id) if caller.principal.holder == Holder::App => caller.actor_for(client_id)?,
        // Staff see the session that stands, whoever its client is.
        Some(_) | None => caller.actor()?,
    };
    if caller.principal.holder == Holder::App {
        must_be_of_staff(&state, &body).await?;
    }
    // An answer goes with the people it is about: none is kept while it is not known who that is.
    let key = key.filter(|_| body.client_id.is_some());
    let tx = state.db.begin(&actor).await?;
    web::write(tx, &caller, key, async |tx| {
        let (session, is_new) = begin_or_find(tx, &caller, &session_key, &body).await?;
        let status = if is_new {
            StatusCode::CREATED
        } else {
            StatusCode::OK
        };
        let people = session.parties.client_id.clone();
        Ok(Answer::json(status, &InteractionView::from(session))?.about(people))
    })
    .await
}

/// An app begins sessions of its clients with members of staff.
async fn must_be_of_staff(state: &State, new: &NewSession) -> Result<(), Error> {
    if new.client_id.is_none() {
        return Err(Error::refused("client_id", "must be said by an app"));
    }
    let staff = state
        .db
        .worker_query(interaction_sessions::IS_STAFF, &[&new.employee_id])
        .await?;
    staff
        .first()
        .map(drop)
        .ok_or_else(|| Error::refused("employee_id", "is no member of staff"))
}

/// The session, and whether it is new.
async fn begin_or_find(
    tx: &Tx,
    caller: &Caller,
    session_key: &str,
    new: &NewSession,
) -> Result<(Session, bool), Error> {
    if let Some(client_id) = &new.client_id
        && users::lock_clients(tx, &[client_id]).await?.is_empty()
    {
        return Err(Error::NotFound);
    }
    if caller.principal.holder == Holder::Staff && new.employee_id != caller.principal.id {
        return Err(Error::refused("employee_id", "must be your own account"));
    }
    if let Some(session) = interaction_sessions::insert(tx, session_key, new).await? {
        return Ok((session, true));
    }
    let standing = interaction_sessions::lock(tx, session_key)
        .await?
        .ok_or(Error::NotFound)?;
    if new.differs(&standing.parties) {
        return Err(Problem::conflict(Code::Differs, "This session stands with other people in it.").into());
    }
    Ok((interaction_sessions::update(tx, standing.id, new).await?, false))
}

/// The session that is written to, whose client does not leave before the transaction ends: an erasure locks the person
/// before the session, and so does this.
pub(super) async fn held(tx: &Tx, session_key: &str) -> Result<Session, Error> {
    let session = interaction_sessions::find(tx, session_key)
        .await?
        .ok_or(Error::NotFound)?;
    if let Some(client_id) = &session.parties.client_id
        && users::lock_clients(tx, &[client_id]).await?.is_empty()
    {
        return Err(Error::NotFound);
    }
    Ok(session)
}

/// One session.
#[utoipa::path(
    tag = "interactions",
    params(("session_key" = String, Path)),
    responses((status = 200, body = InteractionView)),
    extensions(("x-principals" = json!(HOLD)))
)]
#[get("/v1/interactions/{session_key}")]
pub(crate) async fn find(
    state: Data<State>,
    session_key: Path<Identifier>,
    _: Query<()>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&HOLD)?;
    let rows = state
        .db
        .read(&caller.actor()?, interaction_sessions::FIND, &[&&**session_key])
        .await?;
    let session = interaction_sessions::from_row(rows.first().ok_or(Error::NotFound)?)?;
    let people = session.parties.client_id.clone();
    Ok(caller.disclose(people, &InteractionView::from(session)).await?)
}

/// Where a page of sessions ended.
#[derive(Serialize, Deserialize)]
struct Position(DateTime<Utc>, Uuid);

/// A client's sessions, newest first.
#[utoipa::path(
    tag = "interactions",
    params(
        ("user_id" = String, Path),
        ("limit" = Option<i64>, Query),
        ("cursor" = Option<String>, Query)
    ),
    responses((status = 200, body = Page<InteractionView>)),
    extensions(("x-principals" = json!(HOLD)))
)]
#[get("/v1/users/{user_id}/interactions")]
pub(crate) async fn list_of_client(
    state: Data<State>,
    user_id: Path<Identifier>,
    Query(paging): Query<Paging>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&HOLD)?;
    let list = format!("interactions of {}", *user_id);
    let after: Option<Position> = cursors.open(&list, &caller, &paging)?;
    let Position(at, id) = after.unwrap_or(Position(DateTime::<Utc>::MAX_UTC, Uuid::max()));
    let limit = paging.limit + 1;
    let params: db::Params<'_> = &[&&**user_id, &at, &id, &limit];
    let actor = caller.actor_for(&user_id)?;
    let rows = state
        .db
        .read(&actor, interaction_sessions::OF_CLIENT, params)
        .await?;
    let found = interaction_sessions::of_client(&rows)?.ok_or(Error::NotFound)?;
    let items = found.into_iter().map(InteractionView::from).collect();
    let page = Page::cut(items, paging.limit, |last: &InteractionView| {
        cursors.seal(&list, &caller, &paging, &Position(last.created_at, last.id))
    });
    Ok(caller.disclose(NOBODY_ELSE, &page).await?)
}
