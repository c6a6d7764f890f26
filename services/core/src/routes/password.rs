//! A person's own password.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, put};
use common::PrincipalKind;
use secrecy::{ExposeSecret, SecretString};
use utoipa::ToSchema;
use web::{Allowed, Answer, Caller, Fields, Granted, Holder, Problem, Read, Write};

use super::auth::secret;
use crate::domain::password;
use crate::error::Error;
use crate::ops::prove_password::{not_the_present_one, prove_password};
use crate::ops::set_password::{must_be_good, set_password};
use crate::state::State;
use crate::store::credentials::{self, Account};
use crate::store::refresh_tokens;

/// For the document alone: staff without a role have a password too.
pub(crate) const PEOPLE: Allowed = Allowed(&[
    PrincipalKind::Client,
    PrincipalKind::Counselor,
    PrincipalKind::Oncall,
    PrincipalKind::Supervisor,
    PrincipalKind::Admin,
    PrincipalKind::Auditor,
]);

/// Where the present password is sent.
const CURRENT: &str = "current";

/// The present password and the next one.
#[derive(ToSchema)]
pub(crate) struct ChangeBody {
    #[schema(value_type = String, format = Password)]
    current: SecretString,
    /// 8 to 256 characters, of staff 12 to 256; none of those that are tried first.
    #[schema(value_type = String, format = Password, max_length = 256)]
    new: SecretString,
}

impl Read for ChangeBody {
    const MAX_BODY_BYTES: usize = 8 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let current = fields.required(CURRENT, secret(password::MAX_BYTES));
        let new = fields.required("new", secret(password::MAX_BYTES));
        Some(Self {
            current: current?,
            new: new?,
        })
    }
}

/// Only people have passwords.
pub(crate) fn must_be_a_person(caller: &Caller) -> Result<(), Problem> {
    match caller.principal.holder {
        Holder::Client | Holder::Staff => Ok(()),
        Holder::App | Holder::Pipeline | Holder::Service => Err(Problem::forbidden(
            "This is open to people, for their own account.",
        )),
    }
}

/// The account of a person who shows a token.
pub(crate) async fn own_account(state: &State, user_id: &str) -> Result<Account, Error> {
    let rows = state.db.worker_query(credentials::FIND, &[&user_id]).await?;
    Ok(credentials::from_row(rows.first().ok_or(Error::NotFound)?)?)
}

/// Change the own password. Every other sign-in of the person ends.
#[utoipa::path(
    tag = "sign-in",
    request_body = ChangeBody,
    responses(
        (status = 204, description = "It is changed"),
        (status = 422, description = "`current` is not the present password, or the rules do not allow `new`"),
        (status = 429, description = "Too many tries at `current`")
    ),
    extensions(("x-principals" = json!(PEOPLE)))
)]
#[put("/v1/me/password")]
pub(crate) async fn change(
    state: Data<State>,
    http: HttpRequest,
    request: Write<ChangeBody>,
) -> Result<HttpResponse, Error> {
    must_be_a_person(request.caller())?;
    let Granted { caller, body, .. } = request.known()?;
    let user_id = caller.principal.id.as_str();
    let shown = web::token_shown(&http).ok_or_else(Problem::unauthenticated)?;
    let account = own_account(&state, user_id).await?;
    must_be_good(&account, body.new.expose_secret(), "new")?;
    // Forgotten with all that the person failed.
    let (_attempt, place) = prove_password(&state, &account, (CURRENT, &body.current)).await?;
    let hash = place.hash(&body.new).await?;
    drop(place);
    let tx = state.db.begin_worker().await?;
    web::write(tx, &caller, None, async |tx| {
        let current = credentials::hold(tx, user_id).await?.ok_or(Error::NotFound)?;
        if current.password_hash != account.password_hash {
            return Err(not_the_present_one(CURRENT));
        }
        let kept = refresh_tokens::family_of(tx, &shown).await?;
        set_password(tx, user_id, &hash, kept).await?;
        Ok(Answer::no_content())
    })
    .await
}
