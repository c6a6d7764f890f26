//! The second factor of staff.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use common::PrincipalKind;
use db::Tx;
use seal::Cipher;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;
use web::{Allowed, Answer, Body, Caller, Code, Fields, Granted, Holder, Problem, Read, Stranger, Write};

use super::auth::{EVERYBODY, MAX_TOKEN_BYTES, TokensBody, refused, refused_to, secret, show};
use super::password::own_account;
use crate::domain::password;
use crate::domain::throttle::Who;
use crate::domain::token::{Purpose, Token};
use crate::domain::totp;
use crate::error::Error;
use crate::ops::attempt::attempt;
use crate::ops::give_tokens;
use crate::ops::named::named;
use crate::ops::prove_password::prove_password;
use crate::state::State;
use crate::store::{credentials, recovery_codes, sign_in_failures, tickets, totp_secrets};

/// For the document alone: staff without a role have an account too.
const STAFF: Allowed = Allowed(&[
    PrincipalKind::Counselor,
    PrincipalKind::Oncall,
    PrincipalKind::Supervisor,
    PrincipalKind::Admin,
    PrincipalKind::Auditor,
]);

/// Where the own password is sent.
const PASSWORD: &str = "password";

/// The longest code that is looked at, in bytes.
const MAX_CODE_BYTES: usize = 64;

/// A ticket and the code that it waits for.
#[derive(ToSchema)]
pub(crate) struct SignInBody {
    #[schema(value_type = String, format = Password, example = "rcvt_…")]
    ticket: SecretString,
    /// Six digits of the app, or a code on paper.
    #[schema(value_type = String, example = "492039")]
    code: SecretString,
}

impl Read for SignInBody {
    const MAX_BODY_BYTES: usize = 2 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let ticket = fields.required("ticket", secret(MAX_TOKEN_BYTES));
        let code = fields.required("code", secret(MAX_CODE_BYTES));
        Some(Self {
            ticket: ticket?,
            code: code?,
        })
    }
}

/// Sign in with the ticket that the password has earned, and a code. A wrong code leaves the ticket as it is.
#[utoipa::path(
    tag = "sign-in",
    request_body = SignInBody,
    responses(
        (status = 200, body = TokensBody),
        (status = 401, description = "The ticket is unknown, used or too old, or the code is wrong or used"),
        (status = 429, description = "Too many wrong codes")
    ),
    extensions(("x-principals" = json!(EVERYBODY)))
)]
#[post("/v1/auth/totp")]
pub(crate) async fn sign_in(
    state: Data<State>,
    from: Stranger,
    Body(body): Body<SignInBody>,
) -> Result<HttpResponse, Error> {
    let began = Instant::now();
    let Some(ticket) = Token::sent(Purpose::Ticket, &body.ticket) else {
        return Err(refused(began).await);
    };
    let hash = ticket.hash();
    let rows = state.db.worker_query(tickets::FIND, &[&hash]).await?;
    let Some(row) = rows.first() else {
        return Err(refused(began).await);
    };
    let user_id: String = row.try_get("user_id").map_err(db::Error::from)?;
    let attempt = attempt(&state, Who::Owner(&user_id), from.address).await?;
    let tx = state.db.begin_worker().await?;
    let Some(account) = credentials::hold(&tx, &user_id).await? else {
        tx.rollback().await?;
        attempt.failed(&state.db).await?;
        return Err(refused(began).await);
    };
    if !tickets::take(&tx, &hash).await? || !take_code(&tx, &state, &user_id, &body.code).await? {
        tx.rollback().await?;
        attempt.failed(&state.db).await?;
        return Err(refused_to(&from, &account, began).await);
    }
    sign_in_failures::take_back(&tx, &attempt.begun);
    from.signed_in(&tx, named(account.kind, &user_id));
    let given = give_tokens::open(&tx, &user_id, account.kind, account.now).await?;
    tx.commit().await?;
    Ok(show(&given))
}

/// Takes a code of the app or one on paper, which is then used up; `false` where it is none.
async fn take_code(tx: &Tx, state: &State, user_id: &str, code: &SecretString) -> Result<bool, Error> {
    let Some(row) = tx.query_opt(totp_secrets::LOCK, &[&user_id]).await? else {
        return Ok(false);
    };
    let found = totp_secrets::from_row(&row)?;
    if let Some(step) = step_of(state, user_id, code, &found) {
        totp_secrets::take(tx, user_id, step).await?;
        return Ok(true);
    }
    let hash = totp::recovery_hash(code.expose_secret());
    Ok(recovery_codes::take(tx, user_id, &hash).await?)
}

/// The time step of a good code. With another key than it was sealed by, no code is good; those on paper still are.
fn step_of(state: &State, user_id: &str, code: &SecretString, found: &totp_secrets::Found) -> Option<i64> {
    let opened = state.cipher.as_ref()?.open(&found.sealed, user_id);
    match opened {
        Ok(secret) => totp::step_of(&secret, code.expose_secret(), found.last_step, found.now),
        Err(error) => {
            tracing::error!(user_id, %error, "a second factor was sealed by another RECOVERLY_TOTP_KEY");
            None
        }
    }
}

/// What an authenticator app is told, once.
#[derive(Serialize, ToSchema)]
struct EnrolmentBody {
    /// In base32, to be typed.
    secret: String,
    /// To be shown as a QR code.
    otpauth_url: String,
}

/// The own password, which a token that somebody found does not tell.
#[derive(ToSchema)]
pub(crate) struct EnrolBody {
    #[schema(value_type = String, format = Password, max_length = 256)]
    password: SecretString,
}

impl Read for EnrolBody {
    const MAX_BODY_BYTES: usize = 2 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self {
            password: fields.required(PASSWORD, secret(password::MAX_BYTES))?,
        })
    }
}

/// Begin to ask for codes at sign-in: what the app must know. Nothing changes before a code confirms it.
#[utoipa::path(
    tag = "sign-in",
    request_body = EnrolBody,
    responses(
        (status = 201, body = EnrolmentBody),
        (status = 409, description = "Codes are asked for already, or this server has no key to seal them by"),
        (status = 422, description = "It is not the present password"),
        (status = 429, description = "Too many wrong passwords")
    ),
    extensions(("x-principals" = json!(STAFF)))
)]
#[post("/v1/me/totp")]
pub(crate) async fn enrol(state: Data<State>, request: Write<EnrolBody>) -> Result<HttpResponse, Error> {
    must_be_staff(request.caller())?;
    let Granted { caller, body, .. } = request.known()?;
    let user_id = caller.principal.id.as_str();
    let cipher = cipher(&state)?;
    let tx = state.db.begin_worker().await?;
    let is_asked = totp_secrets::is_confirmed(&tx, user_id).await?;
    tx.rollback().await?;
    if is_asked {
        return Err(asked_already());
    }
    let account = own_account(&state, user_id).await?;
    let (attempt, _) = prove_password(&state, &account, (PASSWORD, &body.password)).await?;
    let secret: [u8; totp::SECRET_BYTES] = rand::random();
    let sealed = cipher.seal(&secret, user_id).map_err(Problem::internal)?;
    let told = totp::enrolment(secret, user_id).map_err(Problem::internal)?;
    let tx = state.db.begin_worker().await?;
    web::write(tx, &caller, None, async |tx| {
        credentials::hold(tx, user_id).await?.ok_or(Error::NotFound)?;
        if !totp_secrets::put(tx, user_id, &sealed).await? {
            return Err(asked_already());
        }
        sign_in_failures::take_back(tx, &attempt.begun);
        let body = EnrolmentBody {
            secret: told.secret,
            otpauth_url: told.otpauth_url,
        };
        Ok(Answer::json(StatusCode::CREATED, &body)?)
    })
    .await
}

/// A code of the app.
#[derive(ToSchema)]
pub(crate) struct CodeBody {
    #[schema(value_type = String, example = "492039")]
    code: SecretString,
}

impl Read for CodeBody {
    const MAX_BODY_BYTES: usize = 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self {
            code: fields.required("code", secret(MAX_CODE_BYTES))?,
        })
    }
}

/// Codes on paper, shown once.
#[derive(Serialize, ToSchema)]
struct RecoveryBody {
    /// Each signs in once, in place of a code of the app.
    recovery_codes: Vec<String>,
}

/// Confirm by a code that the app has the secret. From now on, signing in asks for codes.
#[utoipa::path(
    tag = "sign-in",
    request_body = CodeBody,
    responses(
        (status = 200, body = RecoveryBody),
        (status = 409, description = "Nothing waits to be confirmed"),
        (status = 422, description = "The code is wrong"),
        (status = 429, description = "Too many wrong codes")
    ),
    extensions(("x-principals" = json!(STAFF)))
)]
#[post("/v1/me/totp/confirm")]
pub(crate) async fn confirm(state: Data<State>, request: Write<CodeBody>) -> Result<HttpResponse, Error> {
    must_be_staff(request.caller())?;
    let Granted { caller, body, .. } = request.known()?;
    let user_id = caller.principal.id.as_str();
    let attempt = attempt(&state, Who::Owner(user_id), None).await?;
    let tx = state.db.begin_worker().await?;
    let confirmed = web::write(tx, &caller, None, async |tx| {
        credentials::hold(tx, user_id).await?.ok_or(Error::NotFound)?;
        let row = tx.query_opt(totp_secrets::LOCK, &[&user_id]).await?;
        let found = row.as_ref().map(totp_secrets::from_row).transpose()?;
        let waits = found.filter(|found| !found.is_confirmed);
        let found = waits.ok_or_else(asked_already)?;
        let step = step_of(&state, user_id, &body.code, &found);
        let step = step.ok_or_else(|| Error::refused("code", "is not the present code"))?;
        totp_secrets::take(tx, user_id, step).await?;
        let codes: Vec<String> = (0..totp::RECOVERY_CODES)
            .map(|_| totp::recovery_code(rand::random()))
            .collect();
        let hashes: Vec<Vec<u8>> = codes.iter().map(|code| totp::recovery_hash(code)).collect();
        recovery_codes::replace(tx, user_id, &hashes).await?;
        sign_in_failures::take_back(tx, &attempt.begun);
        Ok(Answer::ok(&RecoveryBody {
            recovery_codes: codes,
        })?)
    })
    .await;
    if confirmed.is_err() {
        attempt.failed(&state.db).await?;
    }
    confirmed
}

fn must_be_staff(caller: &Caller) -> Result<(), Problem> {
    match caller.principal.holder {
        Holder::Staff => Ok(()),
        Holder::Client | Holder::App | Holder::Pipeline | Holder::Service => Err(Problem::forbidden(
            "This is open to staff, for their own account.",
        )),
    }
}

fn cipher(state: &State) -> Result<&Arc<Cipher>, Problem> {
    state.cipher.as_ref().ok_or_else(|| {
        let detail =
            "This server has no key to seal second factors by: its operator sets RECOVERLY_TOTP_KEY.";
        Problem::conflict(Code::WrongState, detail)
    })
}

fn asked_already() -> Error {
    let detail = "Nothing waits to be confirmed, or codes are asked for already; an operator can end that.";
    Problem::conflict(Code::WrongState, detail).into()
}
