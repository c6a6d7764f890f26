//! Programs: registered by admins, each with a secret that is shown once.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path, ThinData};
use actix_web::{HttpResponse, delete, get, post};
use chrono::{DateTime, Utc};
use common::PrincipalKind;
use db::Tx;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;
use web::{
    Allowed, Answer, Caller, Code, CursorKey, Fields, Granted, Identifier, NOBODY_ELSE, Page, Paging,
    Problem, Query, Read, Write, read,
};

use crate::domain::program::{self, DEFAULT_OVERLAP_MINUTES, Kind, MAX_OVERLAP_MINUTES, NewProgram};
use crate::domain::token::{Purpose, Token};
use crate::error::Error;
use crate::state::State;
use crate::store::api_clients::Program;
use crate::store::tokens::Holder;
use crate::store::{api_client_secrets, api_clients, tokens};

const MANAGE: Allowed = Allowed(&[PrincipalKind::Admin]);

const MAX_NAME_BYTES: usize = 255;
const MAX_SCOPES: usize = 100;
/// Cursors of this list.
const LIST_NAME: &str = "api-clients";

/// A new program.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; NewProgram is what it is read into")]
struct NewProgramBody {
    /// 1 to 255 letters, digits, _ or -; by default a new UUID.
    client_id: Option<String>,
    /// app, pipeline or service.
    #[schema(example = "pipeline")]
    kind: String,
    /// What operators call it.
    #[schema(max_length = 255)]
    name: String,
    /// What its tokens are limited to; an empty list: all that its kind may.
    #[schema(example = json!(["messages:read", "messages:write"]))]
    scopes: Vec<String>,
}

impl Read for NewProgram {
    const MAX_BODY_BYTES: usize = 16 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let client_id = fields.optional("client_id", read::identifier);
        let kind = fields.required("kind", read::parsed(Kind::parse, "app, pipeline or service"));
        let name = fields.required("name", read::text(1..=MAX_NAME_BYTES));
        let scopes = fields.list(
            "scopes",
            0..=MAX_SCOPES,
            read::parsed(program::scope, "a scope of some route, such as messages:read"),
        );
        Some(Self {
            client_id: client_id?.unwrap_or_else(|| Uuid::now_v7().to_string()),
            kind: kind?,
            name: name?,
            scopes: distinct(scopes?),
        })
    }
}

fn distinct(mut scopes: Vec<String>) -> Vec<String> {
    scopes.sort_unstable();
    scopes.dedup();
    scopes
}

/// A program that was registered. The secret is shown here and never again.
#[derive(Serialize, ToSchema)]
struct RegisteredBody<'a> {
    client_id: String,
    /// app, pipeline or service.
    kind: &'static str,
    name: String,
    scopes: Vec<String>,
    created_at: DateTime<Utc>,
    client_secret: &'a str,
    secret_expires_at: DateTime<Utc>,
}

/// Register a program. Takes no Idempotency-Key, since the answer holds a secret.
#[utoipa::path(
    tag = "programs",
    request_body = NewProgramBody,
    responses(
        (status = 201, body = RegisteredBody<'_>),
        (status = 409, description = "client_id is taken")
    ),
    extensions(("x-principals" = json!(MANAGE)))
)]
#[post("/v1/api-clients")]
pub(crate) async fn create(state: Data<State>, request: Write<NewProgram>) -> Result<HttpResponse, Error> {
    let Granted {
        caller,
        body: program,
        ..
    } = request.allow(&MANAGE)?;
    let tx = state.db.begin_worker().await?;
    web::write(tx, &caller, None, async |tx| {
        let created_at = api_clients::insert(tx, &program)
            .await?
            .ok_or(Error::Taken("client_id"))?;
        let (secret, secret_expires_at) = new_secret(tx, &program.client_id).await?;
        let body = RegisteredBody {
            client_id: program.client_id,
            kind: program.kind.as_str(),
            name: program.name,
            scopes: program.scopes,
            created_at,
            client_secret: secret.reveal(),
            secret_expires_at,
        };
        Ok::<_, Error>(Answer::json(StatusCode::CREATED, &body)?)
    })
    .await
}

async fn new_secret(tx: &Tx, client_id: &str) -> Result<(Token, DateTime<Utc>), db::Error> {
    let secret = Token::of(Purpose::Secret, rand::random());
    let expires_at = api_client_secrets::insert(tx, client_id, &secret.hash()).await?;
    Ok((secret, expires_at))
}

/// A secret of a program that works; the secret itself is shown to nobody.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what Postgres makes")]
struct SecretView {
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    /// To the minute.
    last_used_at: Option<DateTime<Utc>>,
}

/// A program.
#[derive(Serialize, ToSchema)]
struct ProgramView {
    client_id: String,
    /// app, pipeline or service.
    kind: String,
    name: String,
    scopes: Vec<String>,
    created_at: DateTime<Utc>,
    disabled_at: Option<DateTime<Utc>>,
    /// Those that work, newest first; at most two.
    #[schema(value_type = Vec<SecretView>)]
    secrets: Value,
}

impl From<Program> for ProgramView {
    fn from(found: Program) -> Self {
        Self {
            client_id: found.client_id,
            kind: found.kind,
            name: found.name,
            scopes: found.scopes,
            created_at: found.created_at,
            disabled_at: found.disabled_at,
            secrets: found.secrets,
        }
    }
}

/// The programs by id, with when their secrets end and were last used.
#[utoipa::path(
    tag = "programs",
    params(("limit" = Option<i64>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Page<ProgramView>)),
    extensions(("x-principals" = json!(MANAGE)))
)]
#[get("/v1/api-clients")]
pub(crate) async fn list(
    state: Data<State>,
    Query(paging): Query<Paging>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&MANAGE)?;
    let after: String = cursors.open(LIST_NAME, &caller, &paging)?.unwrap_or_default();
    let limit = paging.limit + 1;
    let rows = state
        .db
        .worker_query(api_clients::LIST, &[&after, &limit])
        .await?;
    let items = rows
        .iter()
        .map(|row| Ok(api_clients::from_row(row)?.into()))
        .collect::<Result<Vec<ProgramView>, db::Error>>()?;
    let page = Page::cut(items, paging.limit, |last| {
        cursors.seal(LIST_NAME, &caller, &paging, &last.client_id)
    });
    Ok(caller.disclose(NOBODY_ELSE, &page).await?)
}

/// How long the secret before goes on working.
#[derive(ToSchema)]
struct RotateBody {
    /// 0 to 10,080 (a week), by default 1,440 (a day); 0 ends it now, for one that leaked.
    #[schema(example = 1440)]
    overlap_minutes: Option<i32>,
}

impl Read for RotateBody {
    const MAX_BODY_BYTES: usize = 1024;
    const MAY_BE_ABSENT: bool = true;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self {
            overlap_minutes: fields.optional("overlap_minutes", read::integer(0..=MAX_OVERLAP_MINUTES))?,
        })
    }
}

/// A new secret. It is shown here and never again.
#[derive(Serialize, ToSchema)]
struct RotatedBody<'a> {
    client_id: &'a str,
    client_secret: &'a str,
    secret_expires_at: DateTime<Utc>,
}

/// Give a program a new secret. The newest of the others works on for the overlap, older ones end now. Takes no
/// Idempotency-Key, since the answer holds a secret.
#[utoipa::path(
    tag = "programs",
    params(("program_id" = String, Path)),
    request_body = RotateBody,
    responses(
        (status = 200, body = RotatedBody<'_>),
        (status = 409, description = "The program is switched off")
    ),
    extensions(("x-principals" = json!(MANAGE)))
)]
#[post("/v1/api-clients/{program_id}/rotate")]
pub(crate) async fn rotate(
    state: Data<State>,
    program_id: Path<Identifier>,
    request: Write<RotateBody>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, .. } = request.allow(&MANAGE)?;
    let overlap_minutes = body.overlap_minutes.unwrap_or(DEFAULT_OVERLAP_MINUTES);
    let tx = state.db.begin_worker().await?;
    web::write(tx, &caller, None, async |tx| {
        let is_disabled = api_clients::lock(tx, &program_id).await?.ok_or(Error::NotFound)?;
        if is_disabled {
            return Err(Problem::conflict(Code::WrongState, "The program is switched off.").into());
        }
        api_client_secrets::retire(tx, &program_id, overlap_minutes).await?;
        let (secret, secret_expires_at) = new_secret(tx, &program_id).await?;
        Ok::<_, Error>(Answer::ok(&RotatedBody {
            client_id: &program_id,
            client_secret: secret.reveal(),
            secret_expires_at,
        })?)
    })
    .await
}

/// Switch a program off. Its secrets and its tokens are refused from then on, and it stays in the list.
#[utoipa::path(
    tag = "programs",
    params(("program_id" = String, Path)),
    responses((status = 204, description = "It is switched off")),
    extensions(("x-principals" = json!(MANAGE)))
)]
#[delete("/v1/api-clients/{program_id}")]
pub(crate) async fn disable(
    state: Data<State>,
    program_id: Path<Identifier>,
    request: Write<()>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, key, .. } = request.allow(&MANAGE)?;
    let tx = state.db.begin_worker().await?;
    web::write(tx, &caller, key, async |tx| {
        api_clients::lock(tx, &program_id).await?.ok_or(Error::NotFound)?;
        api_clients::disable(tx, &program_id).await?;
        api_client_secrets::revoke_of(tx, &program_id).await?;
        tokens::revoke_of(tx, Holder::Program(&program_id)).await?;
        Ok::<_, Error>(Answer::no_content())
    })
    .await
}
