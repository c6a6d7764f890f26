//! Changing accounts.

use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, patch};
use chrono::{DateTime, Utc};
use common::PrincipalKind;
use db::Actor;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use web::{
    Allowed, Answer, Caller, Code, FieldError, Fields, Granted, Holder, Identifier, Problem, Read, Write,
    read,
};

use super::users::{MAX_METADATA_BYTES, MAX_NAME_BYTES, MAX_PHONE_BYTES, MAX_USERNAME_BYTES, STATUSES, is};
use crate::domain::changes::{Changes, Field, Right};
use crate::domain::user::{self, Kind};
use crate::error::Error;
use crate::ops::attempt::ask_name;
use crate::ops::update_user::update_user;
use crate::state::State;
use crate::store::{credentials, staff_roles, users};

const CHANGE: Allowed = Allowed(&[
    PrincipalKind::Client,
    PrincipalKind::App,
    PrincipalKind::Counselor,
    PrincipalKind::Supervisor,
    PrincipalKind::Admin,
]);

/// What is to change: what is absent stays, null clears.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; Changes is what it is read into")]
struct ChangesBody {
    /// By the person, the app or an admin, as email, full_name, phone and locale.
    #[schema(max_length = 100)]
    username: Option<String>,
    email: Option<String>,
    full_name: Option<String>,
    /// By all of them, and by who cares for the client, as timezone.
    display_name: Option<String>,
    phone: Option<String>,
    /// IANA time zone; it cannot be cleared.
    #[schema(required = false, example = "Europe/Vienna")]
    timezone: String,
    locale: Option<String>,
    /// By an admin alone, as clerk_user_id and status.
    external_id: Option<String>,
    clerk_user_id: Option<String>,
    /// active or suspended: tokens of a suspended account are refused at once.
    #[schema(required = false, example = "active")]
    status: String,
    /// By the app, or by who cares for the client; up to 16 KiB as JSON.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
}

impl Read for Changes {
    const MAX_BODY_BYTES: usize = 64 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let username = fields.change("username", read::text(1..=MAX_USERNAME_BYTES));
        let email = fields.change("email", read::parsed(user::email, "an e-mail address"));
        let full_name = fields.change("full_name", read::text(1..=MAX_NAME_BYTES));
        let display_name = fields.change("display_name", read::text(1..=MAX_NAME_BYTES));
        let phone = fields.change("phone", read::text(1..=MAX_PHONE_BYTES));
        let timezone = fields.change(
            "timezone",
            read::parsed(user::timezone, "an IANA time zone, such as Europe/Vienna"),
        );
        let locale = fields.change(
            "locale",
            read::parsed(user::locale, "a language tag, such as de-AT"),
        );
        let external_id = fields.change("external_id", read::text(1..=MAX_NAME_BYTES));
        let clerk_user_id = fields.change("clerk_user_id", read::text(1..=MAX_NAME_BYTES));
        let status = fields.change("status", read::one_of(STATUSES));
        let metadata = fields.change("metadata", read::object(MAX_METADATA_BYTES));
        let timezone = stays_set(fields, "timezone", timezone);
        let status = stays_set(fields, "status", status);
        Some(Self {
            username: username?,
            email: email?,
            full_name: full_name?,
            display_name: display_name?,
            phone: phone?,
            timezone: timezone?,
            locale: locale?,
            external_id: external_id?,
            clerk_user_id: clerk_user_id?,
            status: status?.map(str::to_owned),
            metadata: metadata?,
        })
    }
}

/// Refuses to clear a field that every account has.
fn stays_set<T>(
    fields: &mut Fields<'_>,
    name: &'static str,
    given: Option<Option<Option<T>>>,
) -> Option<Option<T>> {
    match given? {
        None => Some(None),
        Some(Some(value)) => Some(Some(value)),
        Some(None) => {
            fields.fault(name, "must not be null");
            None
        }
    }
}

/// What became of an account; what was sent is not sent back.
#[derive(Serialize, ToSchema)]
struct ChangedBody<'a> {
    user_id: &'a str,
    /// The fields that are other than before.
    changed: Vec<&'static str>,
    updated_at: DateTime<Utc>,
}

/// Change an account: what is absent stays, null clears. A field that is not the caller's to change is a 422.
#[utoipa::path(
    tag = "users",
    params(("user_id" = String, Path)),
    request_body = ChangesBody,
    responses(
        (status = 200, body = ChangedBody),
        (status = 409, description = "username, email, external_id or clerk_user_id is taken, errors names which; or it is the last active admin"),
        (status = 429, description = "a client has asked for ten names within a day: no other one before it is over")
    ),
    extensions(("x-principals" = json!(CHANGE)))
)]
#[patch("/v1/users/{user_id}")]
pub(crate) async fn change(
    state: Data<State>,
    user_id: Path<Identifier>,
    request: Write<Changes>,
) -> Result<HttpResponse, Error> {
    let Granted {
        caller,
        body: changes,
        key,
    } = request.allow(&CHANGE)?;
    let rights = rights(&state, &caller, &user_id).await?;
    let is_admin = rights.contains(&Right::Admin);
    let suspends = is_admin && changes.suspends();
    let (tx, kind) = if is_admin {
        (state.db.begin_worker().await?, None)
    } else if rights.contains(&Right::App) {
        // Not as the client: another address ends what was mailed to the one before, which no client's transaction sees.
        if caller.actor_for(&user_id)? != Actor::Client(user_id.to_string()) {
            return Err(Error::NotFound);
        }
        (state.db.begin_worker().await?, Some(Kind::Client))
    } else {
        let actor = caller.actor_for(&user_id)?;
        (state.db.begin(&actor).await?, Some(Kind::Client))
    };
    web::write(tx, &caller, key, async |tx| {
        if suspends {
            // Before the account, whose sign-ins end with it; and so are the admins, by whoever takes away a role.
            credentials::hold(tx, &user_id).await?.ok_or(Error::NotFound)?;
            staff_roles::lock_admins(tx).await?;
        }
        let found = users::lock(tx, &user_id, kind).await?.ok_or(Error::NotFound)?;
        let refused = changes.refused(&rights);
        if !refused.is_empty() {
            return Err(not_yours(&refused));
        }
        if caller.principal.holder == Holder::Client && changes.renames(&found.account) {
            // Committed by itself and never taken back: a free name costs as much as a taken one, so that none can be hunted.
            ask_name(&state, &user_id).await?;
        }
        let updated = update_user(tx, &state.outbox, &user_id, found, changes).await?;
        if suspends && !staff_roles::has_active_admin(tx).await? {
            return Err(last_admin().into());
        }
        Ok(Answer::ok(&ChangedBody {
            user_id: &user_id,
            changed: updated.changed.iter().map(|field| field.as_str()).collect(),
            updated_at: updated.updated_at,
        })?)
    })
    .await
}

/// In what right the caller would change the account. Whether the account is there for the caller, the transaction
/// that follows decides; only an admin's sees every account, so for one who also cares it is asked here.
async fn rights(state: &State, caller: &Caller, user_id: &str) -> Result<Vec<Right>, Error> {
    match caller.principal.holder {
        Holder::Client => return Ok(vec![Right::Person]),
        Holder::App => return Ok(vec![Right::Person, Right::App]),
        Holder::Pipeline | Holder::Service => return Ok(Vec::new()),
        Holder::Staff => {}
    }
    let cares = is(caller, PrincipalKind::Counselor) || is(caller, PrincipalKind::Supervisor);
    if !is(caller, PrincipalKind::Admin) {
        return Ok(vec![Right::Care]);
    }
    let mut rights = vec![Right::Admin];
    if cares {
        let params: db::Params<'_> = &[&user_id, &Kind::Client.as_str()];
        let seen = state
            .db
            .read(&caller.actor_for(user_id)?, &users::find_sql(), params)
            .await?;
        rights.extend(seen.first().map(|_| Right::Care));
    }
    Ok(rights)
}

fn not_yours(refused: &[Field]) -> Error {
    let faults = refused.iter().map(|field| FieldError {
        pointer: format!("/{}", field.as_str()),
        detail: "is not yours to change".to_owned(),
    });
    Error::Refused(faults.collect())
}

/// Nobody could make another one.
pub(super) fn last_admin() -> Problem {
    Problem::conflict(
        Code::WrongState,
        "This is the last active admin. Make another one first.",
    )
}
