//! Whose token it is.

use actix_web::{HttpResponse, get};
use chrono::{DateTime, Utc};
use common::PrincipalKind;
use serde::Serialize;
use utoipa::ToSchema;
use web::{Allowed, Caller, Query};

/// For the document alone: every valid token may ask, also that of staff without a role.
const ME: Allowed = Allowed(&PrincipalKind::ALL);

/// The holder of the token.
#[derive(Serialize, ToSchema)]
struct Me<'a> {
    /// A user id, or the id of a program.
    id: &'a str,
    /// client, staff, app, pipeline or service.
    kind: &'static str,
    /// What a member of staff may do.
    roles: Vec<&'static str>,
    /// What the token is limited to, where it is.
    scopes: &'a [String],
    expires_at: Option<DateTime<Utc>>,
}

/// Whose token this is, and until when it works.
#[utoipa::path(
    tag = "me",
    responses((status = 200, body = Me)),
    extensions(("x-principals" = json!(ME)))
)]
#[get("/v1/me")]
pub(crate) async fn me(_: Query<()>, caller: Caller) -> HttpResponse {
    let principal = &caller.principal;
    HttpResponse::Ok().json(Me {
        id: &principal.id,
        kind: principal.holder.as_str(),
        roles: principal.roles.iter().map(|role| role.as_str()).collect(),
        scopes: &principal.scopes,
        expires_at: principal.expires_at,
    })
}
