//! OAuth 2 for programs: a token for a secret (RFC 6749, client credentials), what a token is worth (RFC 7662), and its
//! end (RFC 7009). What is wrong with a request is said in the words of RFC 6749, 5.2; what is wrong with its body's size
//! or type, as everywhere.

mod credentials;
mod refusal;

use actix_web::http::header::{CACHE_CONTROL, PRAGMA};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, post};
use serde::Serialize;
use utoipa::ToSchema;
use web::{Form, Stranger};

use self::credentials::Proven;
use self::refusal::Refusal;
use super::auth::EVERYBODY;
use crate::domain::program::{Kind, TOKEN_SECONDS, granted};
use crate::domain::token::{Purpose, Token};
use crate::state::State;
use crate::store::api_client_secrets;
use crate::store::tokens::{self, Active, Holder, NewToken};

const GRANT: &str = "client_credentials";
const TOKEN_TYPE: &str = "Bearer";

/// What a program asks a token with. Id and secret may stand in `Authorization: Basic` instead.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the form; its parameters are read by name")]
struct TokenForm {
    /// client_credentials.
    grant_type: String,
    /// Words with spaces between them, of the program's own; by default all of those.
    scope: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
}

/// A token of a program.
#[derive(Serialize, ToSchema)]
struct TokenBody<'a> {
    access_token: &'a str,
    token_type: &'static str,
    /// In seconds.
    expires_in: i32,
    /// What it is limited to; absent: all that the program's kind may.
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
}

/// Get a token for a program's secret.
#[utoipa::path(
    tag = "oauth",
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, body = TokenBody<'_>),
        (status = 400, description = "invalid_request, unsupported_grant_type or invalid_scope"),
        (status = 401, description = "invalid_client")
    ),
    security(()),
    extensions(("x-principals" = json!(EVERYBODY)))
)]
#[post("/oauth/token")]
pub(crate) async fn issue(
    state: Data<State>,
    from: Stranger,
    request: HttpRequest,
    form: Form,
) -> Result<HttpResponse, Refusal> {
    let form = form.read()?;
    let program = Proven::of(&state.db, &from, &request, &form).await?;
    match form.get("grant_type") {
        Some(GRANT) => {}
        Some(_) => return Err(Refusal::UnsupportedGrantType),
        None => return Err(Refusal::InvalidRequest("grant_type is missing".to_owned())),
    }
    let scopes = granted(&program.secret.scopes, form.get("scope")).ok_or(Refusal::InvalidScope)?;
    let token = Token::of(Purpose::Access, rand::random());
    let new = NewToken {
        hash: &token.hash(),
        holder: Holder::Program(&program.client_id),
        scopes: &scopes,
        lasts_seconds: TOKEN_SECONDS,
        family: None,
    };
    let tx = state.db.begin_worker().await?;
    let stored = tokens::insert(&tx, new).await?;
    api_client_secrets::touch(&tx, program.secret.secret_id).await?;
    from.audited_in(&tx, program.known(), Vec::new());
    tx.commit().await?;
    stored.ok_or(Refusal::InvalidClient)?;
    Ok(answer(&TokenBody {
        access_token: token.reveal(),
        token_type: TOKEN_TYPE,
        expires_in: TOKEN_SECONDS,
        scope: joined(&scopes),
    }))
}

/// Which token is meant.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the form; its parameters are read by name")]
struct AboutTokenForm {
    token: String,
    /// Of no effect: there is one kind of token.
    token_type_hint: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
}

/// What a token is worth. Of one that is not valid, or not the asking program's, `active` alone is said.
#[derive(Default, Serialize, ToSchema)]
struct Introspection {
    active: bool,
    /// What it is limited to, where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    /// The program it was given to; absent where that is a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    /// The person or program it was given to.
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    /// When it ends, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    /// When it was made, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<i64>,
}

impl From<Active> for Introspection {
    fn from(found: Active) -> Self {
        Self {
            active: true,
            scope: joined(&found.scopes),
            client_id: found.client_id,
            sub: Some(found.principal_id),
            token_type: Some(TOKEN_TYPE),
            exp: Some(found.expires_at.timestamp()),
            iat: Some(found.created_at.timestamp()),
        }
    }
}

/// Ask what a token is worth: a program about its own tokens, a service about all.
#[utoipa::path(
    tag = "oauth",
    request_body(content = AboutTokenForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, body = Introspection),
        (status = 400, description = "invalid_request"),
        (status = 401, description = "invalid_client")
    ),
    security(()),
    extensions(("x-principals" = json!(EVERYBODY)))
)]
#[post("/oauth/introspect")]
pub(crate) async fn introspect(
    state: Data<State>,
    from: Stranger,
    request: HttpRequest,
    form: Form,
) -> Result<HttpResponse, Refusal> {
    let form = form.read()?;
    let program = Proven::of(&state.db, &from, &request, &form).await?;
    let may_see_all = program.secret.kind == Kind::Service.as_str();
    let seen = find(&state, form.get("token"))
        .await?
        .filter(|(_, found)| may_see_all || program.owns(found));
    let person = seen.iter().filter(|(_, found)| found.client_id.is_none());
    let people = person.map(|(_, found)| found.principal_id.clone()).collect();
    from.on_record(program.known(), people).await?;
    Ok(answer(
        &seen
            .map(|(_, found)| Introspection::from(found))
            .unwrap_or_default(),
    ))
}

/// End one of the own tokens. One that is unknown or has ended is as good as revoked.
#[utoipa::path(
    tag = "oauth",
    request_body(content = AboutTokenForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "It does not work any more, or never did"),
        (status = 400, description = "invalid_request, or invalid_grant where the token is another's"),
        (status = 401, description = "invalid_client")
    ),
    security(()),
    extensions(("x-principals" = json!(EVERYBODY)))
)]
#[post("/oauth/revoke")]
pub(crate) async fn revoke(
    state: Data<State>,
    from: Stranger,
    request: HttpRequest,
    form: Form,
) -> Result<HttpResponse, Refusal> {
    let form = form.read()?;
    let program = Proven::of(&state.db, &from, &request, &form).await?;
    if let Some((hash, found)) = find(&state, form.get("token")).await? {
        if !program.owns(&found) {
            return Err(Refusal::InvalidGrant);
        }
        let tx = state.db.begin_worker().await?;
        tokens::revoke(&tx, &hash).await?;
        from.audited_in(&tx, program.known(), Vec::new());
        tx.commit().await?;
    }
    Ok(HttpResponse::Ok().finish())
}

/// The token that a form names, where it is valid, with its hash.
async fn find(state: &State, token: Option<&str>) -> Result<Option<(Vec<u8>, Active)>, Refusal> {
    let token = token.ok_or_else(|| Refusal::InvalidRequest("token is missing".to_owned()))?;
    let hash = Token::given(token).hash();
    let rows = state.db.worker_query(tokens::ACTIVE, &[&hash]).await?;
    let found = rows.first().map(tokens::active_from_row).transpose()?;
    Ok(found.map(|found| (hash, found)))
}

fn joined(scopes: &[String]) -> Option<String> {
    (!scopes.is_empty()).then(|| scopes.join(" "))
}

/// No cache between us and the program may keep it (RFC 6749, 5.1).
fn answer(body: &impl Serialize) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((PRAGMA, "no-cache"))
        .json(body)
}
