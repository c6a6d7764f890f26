//! A forgotten password, set anew by a token that comes by mail.

use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use utoipa::ToSchema;
use web::{Body, Fields, Read, Stranger, read};

use super::auth::{EVERYBODY, MAX_EMAIL_BYTES, MAX_TOKEN_BYTES, secret};
use crate::domain::password;
use crate::domain::token::{Purpose, Token};
use crate::error::Error;
use crate::ops::known::known;
use crate::ops::set_password::{must_be_good, set_password};
use crate::state::State;
use crate::store::{credentials, password_resets};

/// Whose password is forgotten.
#[derive(ToSchema)]
pub(crate) struct ForgottenBody {
    #[schema(max_length = 255, example = "someone@mail.example")]
    email: String,
}

impl Read for ForgottenBody {
    const MAX_BODY_BYTES: usize = 2 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self {
            email: fields.required("email", read::text(1..=MAX_EMAIL_BYTES))?,
        })
    }
}

/// The same whether there is such an account or not.
#[derive(Serialize, ToSchema)]
struct AskedBody {
    detail: &'static str,
}

/// Ask for a mail with a link to set a new password.
#[utoipa::path(
    tag = "sign-in",
    request_body = ForgottenBody,
    responses(
        (status = 202, description = "Whether there is such an account or not", body = AskedBody),
        (status = 503, description = "Too many ask at once")
    ),
    extensions(("x-principals" = json!(EVERYBODY)))
)]
#[post("/v1/auth/password-reset")]
pub(crate) async fn ask(
    state: Data<State>,
    from: Stranger,
    Body(forgotten): Body<ForgottenBody>,
) -> Result<HttpResponse, Error> {
    state.resets.ask(forgotten.email, from)?;
    Ok(HttpResponse::Accepted().json(AskedBody {
        detail: "If there is an account with this address, a mail is on its way.",
    }))
}

/// The token that came by mail, and the password that shall be.
#[derive(ToSchema)]
pub(crate) struct ConfirmBody {
    #[schema(value_type = String, format = Password, example = "rcvp_…")]
    token: SecretString,
    /// 8 to 256 characters, of staff 12 to 256; none of those that are tried first.
    #[schema(value_type = String, format = Password, max_length = 256)]
    new_password: SecretString,
}

impl Read for ConfirmBody {
    const MAX_BODY_BYTES: usize = 8 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let token = fields.required("token", secret(MAX_TOKEN_BYTES));
        let new_password = fields.required("new_password", secret(password::MAX_BYTES));
        Some(Self {
            token: token?,
            new_password: new_password?,
        })
    }
}

/// Set a new password. Every sign-in of the person ends.
#[utoipa::path(
    tag = "sign-in",
    request_body = ConfirmBody,
    responses(
        (status = 204, description = "It is set: sign in by it"),
        (status = 401, description = "The token is unknown, used or too old"),
        (status = 422, description = "The rules do not allow this password; the token still works")
    ),
    extensions(("x-principals" = json!(EVERYBODY)))
)]
#[post("/v1/auth/password-reset/confirm")]
pub(crate) async fn confirm(
    state: Data<State>,
    from: Stranger,
    Body(body): Body<ConfirmBody>,
) -> Result<HttpResponse, Error> {
    let shown = Token::sent(Purpose::Reset, &body.token).ok_or(Error::SignInFailed)?;
    let hash = shown.hash();
    let rows = state.db.worker_query(password_resets::FIND, &[&hash]).await?;
    let account = credentials::from_row(rows.first().ok_or(Error::SignInFailed)?)?;
    must_be_good(&account, body.new_password.expose_secret(), "new_password")?;
    let new_hash = state.hasher.place()?.hash(&body.new_password).await?;
    let hold: (&str, db::Params<'_>) = (credentials::HOLD, &[&account.user_id]);
    let (tx, _) = state.db.begin_worker_with(&[hold]).await?;
    if !password_resets::take(&tx, &hash).await? {
        tx.rollback().await?;
        return Err(Error::SignInFailed);
    }
    set_password(&tx, &account.user_id, &new_hash, None).await?;
    from.audited_in(&tx, known(account.kind, &account.user_id), Vec::new());
    tx.commit().await?;
    Ok(HttpResponse::NoContent().finish())
}
