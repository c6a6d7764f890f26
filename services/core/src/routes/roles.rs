//! What staff may do.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, delete, put};
use chrono::{DateTime, Utc};
use common::PrincipalKind;
use db::Tx;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use web::{Allowed, Answer, Granted, Identifier, Write};

use super::user_changes::last_admin;
use crate::domain::user::Kind;
use crate::error::Error;
use crate::state::State;
use crate::store::{staff_roles, users};

const MANAGE: Allowed = Allowed(&[PrincipalKind::Admin]);

/// A staff user, and one of counselor, oncall, supervisor, admin and auditor.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct RolePath {
    #[param(value_type = String)]
    user_id: Identifier,
    #[param(value_type = String)]
    role: Identifier,
}

impl RolePath {
    /// A word that is no role of staff names nothing.
    fn role(&self) -> Result<PrincipalKind, Error> {
        PrincipalKind::parse(&self.role)
            .filter(|kind| kind.is_staff_role())
            .ok_or(Error::NotFound)
    }
}

/// A role that a staff user has.
#[derive(Serialize, ToSchema)]
struct RoleView<'a> {
    user_id: &'a str,
    role: &'static str,
    /// Null for a role that an operator gave by command.
    granted_by: Option<String>,
    granted_at: DateTime<Utc>,
}

/// Give a staff user a role. Saying it twice changes nothing.
#[utoipa::path(
    tag = "roles",
    params(RolePath),
    responses(
        (status = 201, body = RoleView),
        (status = 200, description = "The staff user has it already", body = RoleView)
    ),
    extensions(("x-principals" = json!(MANAGE)))
)]
#[put("/v1/users/{user_id}/roles/{role}")]
pub(crate) async fn grant(
    state: Data<State>,
    path: Path<RolePath>,
    request: Write<()>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, key, .. } = request.allow(&MANAGE)?;
    let role = path.role()?.as_str();
    let tx = state.db.begin_worker().await?;
    web::write(tx, &caller, key, async |tx| {
        must_be_staff(tx, &path.user_id, "user_id").await?;
        let (grant, is_new) = staff_roles::grant(tx, &path.user_id, role, &caller.principal.id).await?;
        let status = if is_new {
            StatusCode::CREATED
        } else {
            StatusCode::OK
        };
        let view = RoleView {
            user_id: &path.user_id,
            role,
            granted_by: grant.granted_by,
            granted_at: grant.granted_at,
        };
        Ok(Answer::json(status, &view)?)
    })
    .await
}

/// Take a role away. The last active admin stays one.
#[utoipa::path(
    tag = "roles",
    params(RolePath),
    responses(
        (status = 204, description = "The staff user has it no more"),
        (status = 409, description = "It is the last active admin")
    ),
    extensions(("x-principals" = json!(MANAGE)))
)]
#[delete("/v1/users/{user_id}/roles/{role}")]
pub(crate) async fn revoke(
    state: Data<State>,
    path: Path<RolePath>,
    request: Write<()>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, key, .. } = request.allow(&MANAGE)?;
    let role = path.role()?;
    let tx = state.db.begin_worker().await?;
    web::write(tx, &caller, key, async |tx| {
        if role == PrincipalKind::Admin {
            staff_roles::lock_admins(tx).await?;
        }
        must_be_staff(tx, &path.user_id, "user_id").await?;
        if !staff_roles::revoke(tx, &path.user_id, role.as_str()).await? {
            return Err(Error::NotFound);
        }
        if role == PrincipalKind::Admin && !staff_roles::has_active_admin(tx).await? {
            return Err(last_admin().into());
        }
        Ok(Answer::no_content())
    })
    .await
}

/// Holds an account that must be of staff; `field` is its name in the path.
pub(super) async fn must_be_staff(tx: &Tx, user_id: &str, field: &str) -> Result<(), Error> {
    let kinds = users::hold(tx, &[user_id]).await?;
    super::caseload::must_be(kinds.get(user_id).copied(), Kind::Staff, field)
}
