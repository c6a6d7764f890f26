//! Clients with an account at Clerk: what Clerk tells us of it, and our token for a session there. Neither route is there
//! where the settings do not name Clerk.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, post};
use chrono::Utc;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;
use web::{Body, Fields, Named, Problem, Read, Signed, Stranger, read};

use super::auth::EVERYBODY;
use crate::domain::clerk::Said;
use crate::domain::token::{PERSON_SECONDS, Purpose, Token};
use crate::error::Error;
use crate::ops::follow_clerk::follow_clerk;
use crate::ops::named::named;
use crate::state::State;
use crate::store::tokens::{self, Holder, NewToken};
use crate::store::{credentials, threads, users};

/// Clerk, as the audit names it.
const CLERK: Named<'_> = Named::elsewhere("clerk");
/// Why it says that nobody was let in.
const SUSPENDED: &str = "suspended";

/// The longest session token that is looked at, in bytes.
const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// When to come back while Clerk's keys cannot be fetched, in seconds.
const RETRY_AFTER_SECONDS: u64 = 5;

/// A change of an account, as Clerk sends it. Applied once, and in any order: the newest holds, and a deleted account
/// never comes back.
#[utoipa::path(
    tag = "clerk",
    request_body(content = Object, description = "user.created, user.updated or user.deleted; others are taken and ignored"),
    responses(
        (status = 204, description = "It is applied, was before, or does not concern us"),
        (status = 400, description = "It is signed, and no webhook of Clerk's"),
        (status = 401, description = "The signature is missing, wrong or older than five minutes"),
        (status = 409, description = "Another account has the username, email or external_id; nothing was changed")
    ),
    security(()),
    extensions(("x-principals" = json!(EVERYBODY)))
)]
#[post("/v1/webhooks/clerk")]
pub(crate) async fn webhook(
    state: Data<State>,
    from: Stranger,
    request: HttpRequest,
    Signed(body): Signed,
) -> Result<HttpResponse, Error> {
    let signed_by = state.clerk.webhook.as_ref().ok_or(Error::NotFound)?;
    let webhook_id = signed_by
        .id_of(&request, &body, Utc::now())
        .ok_or_else(Problem::unauthenticated)?;
    let said =
        Said::read(&body).ok_or_else(|| Problem::malformed_body("This is no webhook of Clerk's users."))?;
    let tx = state.db.begin_worker().await?;
    match follow_clerk(&tx, &state.outbox, &state.erasures, &webhook_id, &said).await {
        Ok(followed) => {
            if let Some(person) = &followed.person {
                from.audited_in(&tx, CLERK, vec![person.clone()]);
            }
            tx.commit().await?;
            if let Some(person) = &followed.person {
                let places = threads::places(person, &followed.threads);
                state.short_term.forget(places).await;
            }
            Ok(HttpResponse::NoContent().finish())
        }
        Err(error) => {
            // Where this fails, the connection is gone, and Postgres has rolled back by itself.
            tx.rollback().await.ok();
            Err(error)
        }
    }
}

/// A session at Clerk.
#[derive(ToSchema)]
struct SessionBody {
    /// Clerk's session token, a JWT.
    #[schema(max_length = 8192)]
    token: String,
}

impl Read for SessionBody {
    const MAX_BODY_BYTES: usize = 16 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self {
            token: fields.required("token", read::text(1..=MAX_TOKEN_BYTES))?,
        })
    }
}

/// Our token for it.
#[derive(Serialize, ToSchema)]
struct ExchangedBody<'a> {
    access_token: &'a str,
    /// In seconds.
    expires_in: i32,
}

/// Get a token for a session at Clerk. Takes no Idempotency-Key, since the answer holds a token.
#[utoipa::path(
    tag = "clerk",
    request_body = SessionBody,
    responses(
        (status = 200, body = ExchangedBody<'_>),
        (status = 401, description = "The session token is not good, or its account is not here or suspended"),
        (status = 503, description = "Clerk's keys cannot be fetched")
    ),
    security(()),
    extensions(("x-principals" = json!(EVERYBODY)))
)]
#[post("/v1/auth/clerk")]
pub(crate) async fn exchange(
    state: Data<State>,
    from: Stranger,
    Body(session): Body<SessionBody>,
) -> Result<HttpResponse, Error> {
    let sessions = state.clerk.sessions.as_ref().ok_or(Error::NotFound)?;
    let account = sessions
        .account(&session.token)
        .await
        .map_err(|_| Problem::unavailable(RETRY_AFTER_SECONDS))?
        .ok_or_else(Problem::unauthenticated)?;
    let (tx, found) = state
        .db
        .begin_worker_with(&[(users::OF_CLERK, &[&account])])
        .await?;
    let Some(row) = found.first().and_then(|rows| rows.first()) else {
        tx.rollback().await?;
        return Err(Problem::unauthenticated().into());
    };
    let user_id: String = row.try_get("user_id").map_err(db::Error::from)?;
    // As every sign-in does: what ends the person's sign-ins at this moment finds this one, or is found by it.
    let Some(current) = credentials::hold(&tx, &user_id).await? else {
        tx.rollback().await?;
        return Err(Problem::unauthenticated().into());
    };
    if !current.is_active {
        tx.rollback().await?;
        from.refused(named(current.kind, &user_id), SUSPENDED).await;
        return Err(Problem::unauthenticated().into());
    }
    let token = Token::of(Purpose::Access, rand::random());
    let new = NewToken {
        hash: &token.hash(),
        holder: Holder::User(&user_id),
        scopes: &[],
        lasts_seconds: PERSON_SECONDS,
        family: Some(Uuid::now_v7()),
    };
    if tokens::insert(&tx, new).await?.is_none() {
        tx.rollback().await?;
        return Err(Problem::unauthenticated().into());
    }
    from.signed_in(&tx, named(current.kind, &user_id));
    tx.commit().await?;
    Ok(HttpResponse::Ok().json(ExchangedBody {
        access_token: token.reveal(),
        expires_in: PERSON_SECONDS,
    }))
}
