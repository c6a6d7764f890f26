//! Signing in and out. These routes answer secrets: they take no Idempotency-Key, and no answer is stored.

use std::time::Duration;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, post};
use common::PrincipalKind;
use secrecy::SecretString;
use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;
use web::{Allowed, Answer, Body, Fields, Granted, Problem, Read, Stranger, Write, read};

use crate::domain::password;
use crate::domain::password_hash::Verdict;
use crate::domain::sign_in;
use crate::domain::throttle::Who;
use crate::domain::token::{Purpose, Token};
use crate::domain::totp;
use crate::error::Error;
use crate::ops::attempt::{Attempt, turn};
use crate::ops::give_tokens::{self, Given};
use crate::ops::named::named;
use crate::state::State;
use crate::store::credentials::{self, Account};
use crate::store::{refresh_tokens, sign_in_failures, tickets, tokens, totp_secrets};

/// Stands in `x-principals` of routes that look at what is sent, not at a token.
pub(crate) const EVERYBODY: [&str; 1] = ["everybody"];
/// For the document alone: every valid token may be given up, also that of staff without a role.
const LOGOUT: Allowed = Allowed(&PrincipalKind::ALL);

/// A refusal leaves no sooner than this after its request came, in milliseconds: hashes of the older system take longer
/// than ours, and nobody shall learn by the time who has one, or any.
const REFUSAL_MILLISECONDS: u64 = 500;

/// Why the audit says it was.
pub(crate) const SIGN_IN_FAILED: &str = "sign-in-failed";
/// A refresh token that had been exchanged before.
const REPLAYED: &str = "replayed";

/// The longest e-mail address that is looked for, in bytes.
pub(crate) const MAX_EMAIL_BYTES: usize = 255;
/// The longest token that is looked for, in bytes.
pub(crate) const MAX_TOKEN_BYTES: usize = 256;

/// An e-mail address and the password that belongs to it.
#[derive(ToSchema)]
pub(crate) struct LoginBody {
    #[schema(max_length = 255, example = "someone@mail.example")]
    email: String,
    #[schema(value_type = String, format = Password, max_length = 256)]
    password: SecretString,
}

impl Read for LoginBody {
    const MAX_BODY_BYTES: usize = 8 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let email = fields.required("email", read::text(1..=MAX_EMAIL_BYTES));
        let password = fields.required("password", secret(password::MAX_BYTES));
        Some(Self {
            email: email?,
            password: password?,
        })
    }
}

/// A refresh token.
#[derive(ToSchema)]
pub(crate) struct RefreshBody {
    #[schema(value_type = String, format = Password, example = "rcvr_…")]
    refresh_token: SecretString,
}

impl Read for RefreshBody {
    const MAX_BODY_BYTES: usize = 2 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self {
            refresh_token: fields.required("refresh_token", secret(MAX_TOKEN_BYTES))?,
        })
    }
}

/// Text that is shown nowhere.
pub(crate) fn secret(max_bytes: usize) -> impl Fn(&web::Value) -> Result<SecretString, web::Fault> {
    move |value| read::text(1..=max_bytes)(value).map(SecretString::from)
}

/// Tokens that were made now.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokensBody<'a> {
    /// For `Authorization: Bearer …`.
    access_token: &'a str,
    /// For one `POST /v1/auth/refresh`.
    refresh_token: &'a str,
    /// Bearer.
    token_type: &'static str,
    /// How long the access token works, in seconds.
    expires_in: i64,
}

/// The password was right, and a code is owed.
#[derive(Serialize, ToSchema)]
pub(crate) struct TicketBody<'a> {
    /// true.
    totp_required: bool,
    /// For `POST /v1/auth/totp`, with a code.
    ticket: &'a str,
    /// How long the ticket works, in seconds.
    expires_in: i32,
}

/// What signing in answers: tokens, or a ticket where a code is owed.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes the answers; each is sent as it is")]
pub(crate) enum LoginAnswer<'a> {
    /// Signed in.
    Tokens(TokensBody<'a>),
    /// Not yet.
    Ticket(TicketBody<'a>),
}

/// The answer that shows tokens, once.
pub(crate) fn show(given: &Given) -> HttpResponse {
    HttpResponse::Ok().json(TokensBody {
        access_token: given.access.reveal(),
        refresh_token: given.refresh.reveal(),
        token_type: "Bearer",
        expires_in: given.expires_in_seconds,
    })
}

/// The one refusal of what signs nobody in, at the one time.
pub(crate) async fn refused(began: Instant) -> Error {
    tokio::time::sleep_until(leaves_at(began)).await;
    Error::SignInFailed
}

fn leaves_at(began: Instant) -> Instant {
    began + Duration::from_millis(REFUSAL_MILLISECONDS)
}

/// Sign in by e-mail address and password.
#[utoipa::path(
    tag = "sign-in",
    request_body = LoginBody,
    responses(
        (status = 200, body = LoginAnswer),
        (status = 401, description = "The two do not belong together, or nobody may sign in by them; always the same"),
        (status = 429, description = "Too many have failed, for this account or from this address"),
        (status = 503, description = "Too many sign in at once")
    ),
    extensions(("x-principals" = json!(EVERYBODY)))
)]
#[post("/v1/auth/login")]
pub(crate) async fn login(
    state: Data<State>,
    from: Stranger,
    Body(login): Body<LoginBody>,
) -> Result<HttpResponse, Error> {
    let began = Instant::now();
    let rows = state
        .db
        .worker_query(credentials::FIND_BY_EMAIL, &[&login.email])
        .await?;
    let account = rows.first().map(credentials::from_row).transpose()?;
    let who = account.as_ref().map_or(Who::Unknown(&login.email), |account| {
        Who::Account(&account.user_id)
    });
    let turn = turn(&state, who, from.address).await?;
    let place = state.hasher.place()?;
    let attempt = turn.attempt(&state.db).await?;
    let active = account.as_ref().filter(|account| account.is_active);
    let stored = active.and_then(|account| account.password_hash.as_deref());
    let new_hash = match place.verify(&login.password, stored).await? {
        Verdict::Wrong => None,
        Verdict::Right => Some(None),
        Verdict::RightButOutdated => Some(Some(place.hash(&login.password).await?)),
    };
    drop(place);
    let shown = match (active, new_hash) {
        (Some(account), Some(new_hash)) => {
            sign_in(&state, &from, account, &attempt, new_hash.as_deref()).await?
        }
        (None, _) | (_, None) => None,
    };
    match shown {
        Some(Shown::Tokens(given)) => Ok(show(&given)),
        Some(Shown::Ticket(ticket)) => Ok(HttpResponse::Ok().json(TicketBody {
            totp_required: true,
            ticket: ticket.reveal(),
            expires_in: 60 * totp::TICKET_MINUTES,
        })),
        None => {
            attempt.failed(&state.db).await?;
            match &account {
                Some(account) => Err(refused_to(&from, account, began).await),
                None => Err(refused(began).await),
            }
        }
    }
}

/// As [`refused`], on the record of the account that was tried.
pub(crate) async fn refused_to(from: &Stranger, account: &Account, began: Instant) -> Error {
    // The row is written in any case; longer than every refusal takes, nobody waits for it.
    let recorded = from.refused(named(account.kind, &account.user_id), SIGN_IN_FAILED);
    tokio::time::timeout_at(leaves_at(began), recorded).await.ok();
    refused(began).await
}

/// What the password has earned.
enum Shown {
    Tokens(Given),
    Ticket(Token),
}

/// Opens a sign-in, or gives a ticket to who owes a code; nothing where the account is no longer what was verified.
async fn sign_in(
    state: &State,
    from: &Stranger,
    verified: &Account,
    attempt: &Attempt,
    new_hash: Option<&str>,
) -> Result<Option<Shown>, Error> {
    let user_id = &verified.user_id;
    let (tx, rows) = state
        .db
        .begin_worker_with(&[(credentials::HOLD, &[user_id]), (credentials::FIND, &[user_id])])
        .await?;
    let current = rows.last().and_then(|rows| rows.first());
    let current = current.map(credentials::from_row).transpose()?;
    let same = |account: &Account| account.is_active && account.password_hash == verified.password_hash;
    let Some(current) = current.filter(same) else {
        tx.rollback().await?;
        return Ok(None);
    };
    if let Some(new_hash) = new_hash {
        credentials::put(&tx, user_id, new_hash).await?;
    }
    sign_in_failures::take_back(&tx, &attempt.begun);
    from.signed_in(&tx, named(current.kind, user_id));
    let shown = if totp_secrets::is_confirmed(&tx, user_id).await? {
        let ticket = Token::of(Purpose::Ticket, rand::random());
        tickets::insert(&tx, &ticket.hash(), user_id).await?;
        Shown::Ticket(ticket)
    } else {
        Shown::Tokens(give_tokens::open(&tx, user_id, current.kind, current.now).await?)
    };
    tx.commit().await?;
    Ok(Some(shown))
}

/// Exchange a refresh token for new tokens. It works once: shown again, it ends its whole sign-in.
#[utoipa::path(
    tag = "sign-in",
    request_body = RefreshBody,
    responses(
        (status = 200, body = TokensBody),
        (status = 401, description = "Unknown, expired, used before, or its sign-in has ended: sign in anew")
    ),
    extensions(("x-principals" = json!(EVERYBODY)))
)]
#[post("/v1/auth/refresh")]
pub(crate) async fn refresh(
    state: Data<State>,
    from: Stranger,
    Body(body): Body<RefreshBody>,
) -> Result<HttpResponse, Error> {
    let shown = Token::sent(Purpose::Refresh, &body.refresh_token).ok_or(Error::SignInFailed)?;
    let hash = shown.hash();
    let (tx, rows) = state
        .db
        .begin_worker_with(&[(refresh_tokens::HOLD, &[&hash]), (refresh_tokens::FIND, &[&hash])])
        .await?;
    let found = rows.last().and_then(|rows| rows.first());
    let Some(found) = found.map(refresh_tokens::from_row).transpose()? else {
        tx.rollback().await?;
        return Err(Error::SignInFailed);
    };
    let holder = named(found.kind, &found.subject);
    match found.standing.verdict(found.now) {
        sign_in::Verdict::Good => {
            from.signed_in(&tx, holder);
            let given = give_tokens::renew(&tx, &found, &shown).await?;
            tx.commit().await?;
            Ok(show(&given))
        }
        sign_in::Verdict::Replayed => {
            refresh_tokens::revoke_family(&tx, found.family).await?;
            from.refused_in(&tx, holder, REPLAYED);
            tx.commit().await?;
            tracing::warn!(family = %found.family, "a refresh token was shown again: its sign-in is ended");
            Err(Error::SignInFailed)
        }
        sign_in::Verdict::Refused => {
            tx.rollback().await?;
            from.refused(holder, SIGN_IN_FAILED).await;
            Err(Error::SignInFailed)
        }
    }
}

/// Sign out: none of the tokens of this sign-in works any more. A token that an operator made ends alone.
#[utoipa::path(
    tag = "sign-in",
    responses((status = 204, description = "Signed out")),
    extensions(("x-principals" = json!(LOGOUT)))
)]
#[post("/v1/auth/logout")]
pub(crate) async fn logout(
    state: Data<State>,
    http: HttpRequest,
    request: Write<()>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, .. } = request.known()?;
    let shown = web::token_shown(&http).ok_or_else(Problem::unauthenticated)?;
    let tx = state.db.begin_worker().await?;
    web::write(tx, &caller, None, async |tx| {
        tx.query(credentials::HOLD, &[&caller.principal.id]).await?;
        match refresh_tokens::family_of(tx, &shown).await? {
            Some(family) => refresh_tokens::revoke_family(tx, family).await?,
            None => drop(tokens::revoke(tx, &shown).await?),
        }
        Ok(Answer::no_content())
    })
    .await
}
