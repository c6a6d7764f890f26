//! Accounts of clients and staff.

use actix_web::web::{Data, Path, ThinData};
use actix_web::{HttpResponse, get, post};
use chrono::{DateTime, Utc};
use common::PrincipalKind;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;
use web::{
    Allowed, Answer, Caller, CursorKey, Fields, Granted, Holder, Identifier, NOBODY_ELSE, Page, Paging,
    Params, Problem, Query, Read, ReadQuery, Write, read,
};

use crate::domain::user::{self, Kind, NewUser};
use crate::error::Error;
use crate::ops::create_user::create_user;
use crate::state::State;
use crate::store::users::{self, User};

const CREATE: Allowed = Allowed(&[PrincipalKind::App, PrincipalKind::Admin]);
const LIST: Allowed = Allowed(&[
    PrincipalKind::Counselor,
    PrincipalKind::Supervisor,
    PrincipalKind::Admin,
]);
const READ: Allowed = Allowed(&[
    PrincipalKind::Client,
    PrincipalKind::App,
    PrincipalKind::Counselor,
    PrincipalKind::Supervisor,
    PrincipalKind::Admin,
]);

pub(super) const MAX_USERNAME_BYTES: usize = 100;
pub(super) const MAX_NAME_BYTES: usize = 255;
pub(super) const MAX_PHONE_BYTES: usize = 50;
pub(super) const MAX_METADATA_BYTES: usize = 16 * 1024;
pub(super) const STATUSES: &[&str] = &["active", "suspended"];
/// Cursors of this list.
const LIST_NAME: &str = "users";

/// A new account.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; NewUser is what it is read into")]
struct NewUserBody {
    /// 1 to 255 letters, digits, _ or -; by default a new UUID.
    user_id: Option<String>,
    /// client or staff; an app makes clients only.
    #[schema(example = "client")]
    kind: String,
    #[schema(max_length = 100)]
    username: Option<String>,
    /// Unique without regard to case.
    email: Option<String>,
    full_name: Option<String>,
    /// What dashboards show.
    display_name: Option<String>,
    phone: Option<String>,
    /// IANA time zone; by default UTC.
    #[schema(example = "Europe/Vienna")]
    timezone: Option<String>,
    /// BCP 47 language tag.
    #[schema(example = "de-AT")]
    locale: Option<String>,
    /// The id in the programme's own records.
    external_id: Option<String>,
    /// Up to 16 KiB as JSON.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
}

impl Read for NewUser {
    const MAX_BODY_BYTES: usize = 64 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let user_id = fields.optional("user_id", read::identifier);
        let kind = fields.required("kind", read::parsed(Kind::parse, "client or staff"));
        let username = fields.optional("username", read::text(1..=MAX_USERNAME_BYTES));
        let email = fields.optional("email", read::parsed(user::email, "an e-mail address"));
        let full_name = fields.optional("full_name", read::text(1..=MAX_NAME_BYTES));
        let display_name = fields.optional("display_name", read::text(1..=MAX_NAME_BYTES));
        let phone = fields.optional("phone", read::text(1..=MAX_PHONE_BYTES));
        let timezone = fields.optional(
            "timezone",
            read::parsed(user::timezone, "an IANA time zone, such as Europe/Vienna"),
        );
        let locale = fields.optional(
            "locale",
            read::parsed(user::locale, "a language tag, such as de-AT"),
        );
        let external_id = fields.optional("external_id", read::text(1..=MAX_NAME_BYTES));
        let metadata = fields.optional("metadata", read::object(MAX_METADATA_BYTES));
        let bare = Self::bare(&user_id?.unwrap_or_else(|| Uuid::now_v7().to_string()), kind?);
        Some(Self {
            username: username?,
            email: email?,
            full_name: full_name?,
            display_name: display_name?,
            phone: phone?,
            timezone: timezone?.unwrap_or_else(|| bare.timezone.clone()),
            locale: locale?,
            external_id: external_id?,
            metadata: metadata?,
            ..bare
        })
    }
}

/// An account that was made; what was sent is not sent back.
#[derive(Serialize, ToSchema)]
struct CreatedBody {
    user_id: String,
    /// client or staff.
    kind: &'static str,
    timezone: String,
    status: &'static str,
    created_at: DateTime<Utc>,
}

/// Make an account. An app makes clients; staff are made by admins.
#[utoipa::path(
    tag = "users",
    request_body = NewUserBody,
    responses(
        (status = 201, body = CreatedBody),
        (status = 409, description = "user_id, username, email or external_id is taken; errors names which")
    ),
    extensions(("x-principals" = json!(CREATE)))
)]
#[post("/v1/users")]
pub(crate) async fn create(state: Data<State>, request: Write<NewUser>) -> Result<HttpResponse, Error> {
    let Granted {
        caller,
        body: user,
        key,
    } = request.allow(&CREATE)?;
    if user.kind == Kind::Staff && caller.principal.holder == Holder::App {
        return Err(Problem::forbidden("An app makes clients; staff are made by admins.").into());
    }
    let tx = state.db.begin_worker().await?;
    web::write(tx, &caller, key, async |tx| {
        let created_at = create_user(tx, &state.outbox, &user).await?;
        let location = format!("/v1/users/{}", user.user_id);
        let body = CreatedBody {
            user_id: user.user_id,
            kind: user.kind.as_str(),
            timezone: user.timezone,
            status: "active",
            created_at,
        };
        Ok::<_, Error>(Answer::created(location, &body)?.about([&body.user_id]))
    })
    .await
}

/// An account. Admins get neither `last_active` nor `metadata`.
#[derive(Serialize, ToSchema)]
struct UserView {
    user_id: String,
    /// client or staff.
    kind: String,
    username: Option<String>,
    email: Option<String>,
    full_name: Option<String>,
    display_name: Option<String>,
    phone: Option<String>,
    timezone: String,
    locale: Option<String>,
    external_id: Option<String>,
    clerk_user_id: Option<String>,
    /// active or suspended.
    status: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_active: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
}

impl UserView {
    /// What the person and who cares for them see.
    fn whole(found: User) -> Self {
        Self {
            last_active: found.last_active,
            metadata: found.metadata.clone(),
            ..Self::account(found)
        }
    }

    /// What who runs the accounts sees.
    fn account(found: User) -> Self {
        Self {
            user_id: found.user_id,
            kind: found.kind,
            username: found.username,
            email: found.email,
            full_name: found.full_name,
            display_name: found.display_name,
            phone: found.phone,
            timezone: found.timezone,
            locale: found.locale,
            external_id: found.external_id,
            clerk_user_id: found.clerk_user_id,
            status: found.status,
            created_at: found.created_at,
            updated_at: found.updated_at,
            last_active: None,
            metadata: None,
        }
    }
}

/// Which accounts are asked for.
struct ListQuery {
    q: Option<String>,
    kind: Option<&'static str>,
    status: Option<&'static str>,
    paging: Paging,
}

impl ReadQuery for ListQuery {
    fn read(params: &mut Params) -> Option<Self> {
        let q = params.optional("q", read::text(1..=MAX_NAME_BYTES));
        let kind = params.optional("kind", read::one_of(Kind::WORDS));
        let status = params.optional("status", read::one_of(STATUSES));
        let paging = Paging::read(params);
        Some(Self {
            q: q?,
            kind: kind?,
            status: status?,
            paging: paging?,
        })
    }
}

/// Accounts by id: all of them for admins, the own clients for counselors and supervisors.
#[utoipa::path(
    tag = "users",
    params(
        ("q" = Option<String>, Query, description = "How a name, address or id begins; case does not matter"),
        ("kind" = Option<String>, Query, description = "client or staff"),
        ("status" = Option<String>, Query, description = "active or suspended"),
        ("limit" = Option<i64>, Query),
        ("cursor" = Option<String>, Query)
    ),
    responses((status = 200, body = Page<UserView>)),
    extensions(("x-principals" = json!(LIST)))
)]
#[get("/v1/users")]
pub(crate) async fn list(
    state: Data<State>,
    Query(query): Query<ListQuery>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&LIST)?;
    let after: String = cursors
        .open(LIST_NAME, &caller, &query.paging)?
        .unwrap_or_default();
    let limit = query.paging.limit + 1;
    let (view, rows): (fn(User) -> UserView, _) = if is(&caller, PrincipalKind::Admin) {
        (UserView::account, all(&state, &query, &after, limit).await?)
    } else if query.kind == Some(Kind::Staff.as_str()) {
        (UserView::whole, Vec::new())
    } else {
        let params: db::Params<'_> = &[&query.status, &query.q, &after, &limit];
        let actor = caller.actor()?;
        (
            UserView::whole,
            state.db.read(&actor, &users::caseload_sql(), params).await?,
        )
    };
    let items = rows
        .iter()
        .map(|row| users::from_row(row).map(view))
        .collect::<Result<Vec<_>, _>>()?;
    let page = Page::cut(items, query.paging.limit, |last| {
        cursors.seal(LIST_NAME, &caller, &query.paging, &last.user_id)
    });
    let shown: Vec<&str> = page.items.iter().map(|user| user.user_id.as_str()).collect();
    Ok(caller.disclose(shown, &page).await?)
}

/// A page of all accounts.
async fn all(state: &State, query: &ListQuery, after: &str, limit: i64) -> Result<Vec<db::Row>, Error> {
    let rows = match &query.q {
        None => {
            let params: db::Params<'_> = &[&query.kind, &query.status, &after, &limit];
            state.db.worker_query(&users::list_sql(), params).await?
        }
        Some(q) => {
            let params: db::Params<'_> = &[&query.kind, &query.status, &after, &limit, q];
            state.db.worker_query(&users::search_sql(), params).await?
        }
    };
    Ok(rows)
}

/// One account.
#[utoipa::path(
    tag = "users",
    params(("user_id" = String, Path)),
    responses((status = 200, body = UserView)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/users/{user_id}")]
pub(crate) async fn find(
    state: Data<State>,
    user_id: Path<Identifier>,
    _: Query<()>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let cares = [
        PrincipalKind::Client,
        PrincipalKind::App,
        PrincipalKind::Counselor,
        PrincipalKind::Supervisor,
    ];
    if cares.into_iter().any(|kind| is(&caller, kind)) {
        let params: db::Params<'_> = &[&&**user_id, &Kind::Client.as_str()];
        let rows = state
            .db
            .read(&caller.actor_for(&user_id)?, &users::find_sql(), params)
            .await?;
        if let Some(row) = rows.first() {
            let user = UserView::whole(users::from_row(row)?);
            return Ok(caller.disclose(NOBODY_ELSE, &user).await?);
        }
    }
    if !is(&caller, PrincipalKind::Admin) {
        return Err(Error::NotFound);
    }
    let rows = state
        .db
        .worker_query(&users::find_sql(), &[&&**user_id, &None::<&str>])
        .await?;
    let row = rows.first().ok_or(Error::NotFound)?;
    let user = UserView::account(users::from_row(row)?);
    Ok(caller.disclose(NOBODY_ELSE, &user).await?)
}

/// 404 for a client who is absent or not the caller's.
pub(super) async fn must_see(state: &State, caller: &Caller, user_id: &str) -> Result<(), Error> {
    let params: db::Params<'_> = &[&user_id, &Kind::Client.as_str()];
    let seen = state
        .db
        .read(&caller.actor_for(user_id)?, &users::find_sql(), params)
        .await?;
    seen.first().map(drop).ok_or(Error::NotFound)
}

/// Whether the caller is of this kind, among others.
pub(super) fn is(caller: &Caller, kind: PrincipalKind) -> bool {
    caller.principal.kinds().any(|own| own == kind)
}
