//! Leaving: an account goes with everything that belongs to it.

use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, delete};
use common::PrincipalKind;
use serde::Serialize;
use utoipa::ToSchema;
use web::{Allowed, Answer, Caller, Code, Granted, Holder, Identifier, Problem, Write};

use crate::domain::erasure::{Counts, Requester};
use crate::error::Error;
use crate::ops::erase_user::erase_user;
use crate::state::State;
use crate::store::{threads, users};

const LEAVE: Allowed = Allowed(&[PrincipalKind::Client, PrincipalKind::App, PrincipalKind::Admin]);

/// What an erasure came to.
#[derive(Serialize, ToSchema)]
struct ErasedBody {
    counts: Counts,
}

/// Erase an account and everything that belongs to it, in all services. It cannot be undone, and no answer is kept: an
/// Idempotency-Key has no effect.
#[utoipa::path(
    tag = "leaving",
    params(("user_id" = String, Path)),
    responses(
        (status = 200, body = ErasedBody),
        (status = 409, description = "An admin's own account"),
        (status = 410, description = "It was erased before; told to apps and admins")
    ),
    extensions(("x-principals" = json!(LEAVE)))
)]
#[delete("/v1/users/{user_id}/opt-out")]
pub(crate) async fn opt_out(
    state: Data<State>,
    user_id: Path<Identifier>,
    request: Write<()>,
) -> Result<HttpResponse, Error> {
    leave(&state, &user_id, request).await
}

/// As `/v1/users/{user_id}/opt-out`, under the path that seed 003 gave it.
#[utoipa::path(
    tag = "seed paths",
    params(("user_id" = String, Path)),
    responses(
        (status = 200, body = ErasedBody),
        (status = 409, description = "An admin's own account"),
        (status = 410, description = "It was erased before; told to apps and admins")
    ),
    extensions(("x-principals" = json!(LEAVE)))
)]
#[delete("/customers/{user_id}/opt-out")]
pub(crate) async fn opt_out_as_in_the_seed(
    state: Data<State>,
    user_id: Path<Identifier>,
    request: Write<()>,
) -> Result<HttpResponse, Error> {
    leave(&state, &user_id, request).await
}

async fn leave(state: &State, user_id: &str, request: Write<()>) -> Result<HttpResponse, Error> {
    let Granted { caller, .. } = request.allow(&LEAVE)?;
    let by = requester(&caller, user_id)?;
    db::again(|| erase(state, &caller, user_id, &by), Error::is_lost_race).await
}

async fn erase(state: &State, caller: &Caller, user_id: &str, by: &Requester) -> Result<HttpResponse, Error> {
    let tx = state.db.begin_worker().await?;
    let mut windows = Vec::new();
    let erased = web::write(tx, caller, None, async |tx| {
        if matches!(by, Requester::App(_)) && !users::is_client(tx, user_id).await? {
            return Err(Error::NotFound);
        }
        let erased = erase_user(tx, &state.outbox, &state.erasures, user_id, by).await?;
        windows = erased.threads;
        let counts = erased.counts;
        Ok(Answer::ok(&ErasedBody { counts })?)
    })
    .await?;
    state.short_term.forget(threads::places(user_id, &windows)).await;
    Ok(erased)
}

/// Who asks; a client for the own account, an app for its client's, an admin for anybody's but the own, or the last one
/// could lock everybody out.
fn requester(caller: &Caller, user_id: &str) -> Result<Requester, Error> {
    let own = caller.principal.id == user_id;
    match caller.principal.holder {
        Holder::Client if own => Ok(Requester::Themself),
        Holder::App
            if caller
                .on_behalf_of
                .as_deref()
                .is_none_or(|client| client == user_id) =>
        {
            Ok(Requester::App(caller.principal.id.clone()))
        }
        Holder::Staff if own => {
            let detail = "An admin does not erase the own account. Ask another one, or an operator.";
            Err(Problem::conflict(Code::WrongState, detail).into())
        }
        Holder::Staff => Ok(Requester::Admin(caller.principal.id.clone())),
        Holder::Client | Holder::App | Holder::Pipeline | Holder::Service => Err(Error::NotFound),
    }
}
