//! How staff are reached outside the app: each their own.

use actix_web::web::{Data, Path, ThinData};
use actix_web::{HttpResponse, delete, get, post};
use chrono::{DateTime, Utc};
use common::PrincipalKind;
use serde::Serialize;
use utoipa::ToSchema;
use web::{
    Allowed, Answer, Caller, Code, CursorKey, Fields, Granted, Id, Page, Paging, Params, Problem, Query,
    Read, ReadQuery, Write, read,
};

use crate::domain::contact::{self, Method, is_email};
use crate::error::Error;
use crate::state::State;
use crate::store::contact_methods::{self, ContactMethod, NewMethod};
use crate::webhook::Webhooks;

const OWN: Allowed = Allowed(&[
    PrincipalKind::Counselor,
    PrincipalKind::Oncall,
    PrincipalKind::Supervisor,
    PrincipalKind::Admin,
]);
const READ_HELD: Allowed = Allowed(&[PrincipalKind::Admin]);

const MAX_ADDRESS_BYTES: usize = 2_048;
const MAX_POSITION: i32 = 9;
/// Cursors of the list of everybody.
const LIST_NAME: &str = "contact-methods";
/// No cursor is one of this list: it fits on every page.
const OWN_LIST_NAME: &str = "contact-methods/own";

/// A way to be reached outside the app.
#[derive(ToSchema)]
struct MethodBody {
    /// email or webhook; in the app everybody is reached.
    #[schema(value_type = String, example = "email")]
    method: Method,
    /// An e-mail address, or an https URL on port 443 or one above 1024.
    #[schema(max_length = 2048)]
    address: String,
    /// The lower, the earlier it is used, 1 to 9: by default 1 for mail and 2 for a webhook.
    #[schema(value_type = Option<i32>, minimum = 1, maximum = 9)]
    position: i32,
}

impl Read for MethodBody {
    const MAX_BODY_BYTES: usize = 8 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let method = fields.required("method", read::parsed(Method::parse, "email or webhook"));
        let address = fields.required("address", read::text(1..=MAX_ADDRESS_BYTES));
        let position = fields.optional("position", read::integer(1..=MAX_POSITION));
        let (method, position) = (method?, position?);
        Some(Self {
            method,
            address: address?,
            position: position.unwrap_or(method.usual_position()),
        })
    }
}

/// A way to be reached, as its owner sees it.
#[derive(Serialize, ToSchema)]
struct MethodView {
    contact_method_id: i64,
    #[schema(example = "email")]
    method: String,
    position: i32,
    address: String,
    created_at: DateTime<Utc>,
    /// Pages go there from then on.
    verified_at: Option<DateTime<Utc>>,
    /// Why the last code was not taken there.
    code_error: Option<String>,
    /// What signs the webhook, as Standard Webhooks has it; shown this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

impl MethodView {
    fn new(found: ContactMethod, secret: Option<String>) -> Self {
        Self {
            contact_method_id: found.contact_method_id,
            method: found.method,
            position: found.position,
            address: found.address,
            created_at: found.created_at,
            verified_at: found.verified_at,
            code_error: found.code_error,
            secret,
        }
    }
}

/// Name a way to be reached. A code is sent there; pages are once it was sent back. Naming another address in place of one
/// that is not verified makes a new code, and a new secret.
#[utoipa::path(
    tag = "contact methods",
    request_body = MethodBody,
    responses(
        (status = 201, body = MethodView),
        (status = 409, description = "A verified one stands, or this server has no way there"),
        (status = 429, description = "More than three within a minute")
    ),
    extensions(("x-principals" = json!(OWN)))
)]
#[post("/v1/contact-methods")]
pub(crate) async fn create(state: Data<State>, request: Write<MethodBody>) -> Result<HttpResponse, Error> {
    // The answer holds a secret and is not kept for a repeat.
    let Granted { caller, body, .. } = request.allow(&OWN)?;
    let staff_id = caller.principal.id.as_str();
    let secret = match body.method {
        Method::Email => {
            check_email(&state, &body.address)?;
            state.contact_pace.charge(&caller)?;
            None
        }
        Method::Webhook => {
            let webhooks = webhooks(&state)?;
            state.contact_pace.charge(&caller)?;
            let checked = webhooks.check(&body.address).await;
            checked.map_err(|detail| Problem::invalid_field("/address", detail))?;
            Some(webhooks.new_secret(staff_id).map_err(Problem::internal)?)
        }
    };
    let (shown, sealed) = secret.map(|secret| (secret.shown, secret.sealed)).unzip();
    let new = NewMethod {
        method: body.method,
        position: body.position,
        address: &body.address,
        secret_sealed: sealed,
    };
    let tx = state.db.begin(&caller.actor()?).await?;
    web::write(tx, &caller, None, async |tx| {
        let put = contact_methods::put(tx, staff_id, &new, state.clock.fixed()).await?;
        let put = put.ok_or_else(stands_already)?;
        let location = format!("/v1/contact-methods/{}", put.contact_method_id);
        Ok(Answer::created(location, &MethodView::new(put, shown.clone()))?)
    })
    .await
}

fn check_email(state: &State, address: &str) -> Result<(), Problem> {
    if !is_email(address) {
        return Err(Problem::invalid_field("/address", "must be an e-mail address"));
    }
    if state.paging.as_ref().is_some_and(|paging| paging.has_mail()) {
        return Ok(());
    }
    let detail = "This server sends no mail: its operator sets RECOVERLY_SMTP_URL.";
    Err(Problem::conflict(Code::WrongState, detail))
}

fn webhooks(state: &State) -> Result<&Webhooks, Problem> {
    let webhooks = state.paging.as_ref().and_then(|paging| paging.webhooks());
    webhooks.ok_or_else(|| {
        let detail = "This server has no key to seal secrets by: its operator sets RECOVERLY_CONTACT_KEY.";
        Problem::conflict(Code::WrongState, detail)
    })
}

fn stands_already() -> Problem {
    let detail = "A verified one of this method stands. Remove it first.";
    Problem::conflict(Code::WrongState, detail)
}

/// Which methods are listed.
struct ListQuery {
    is_of_everybody: bool,
    paging: Paging,
}

impl ReadQuery for ListQuery {
    fn read(params: &mut Params) -> Option<Self> {
        let everybody = params.flag("everybody");
        let paging = Paging::read(params);
        Some(Self {
            is_of_everybody: everybody?,
            paging: paging?,
        })
    }
}

/// That somebody has a method, and whether pages go there; not where.
#[derive(Serialize, ToSchema)]
struct HeldView {
    staff_id: String,
    method: String,
    created_at: DateTime<Utc>,
    verified_at: Option<DateTime<Utc>>,
}

/// The own methods, in their order. `everybody=true`, for admins: who has which, without addresses.
#[utoipa::path(
    tag = "contact methods",
    params(
        ("everybody" = Option<bool>, Query),
        ("limit" = Option<i64>, Query),
        ("cursor" = Option<String>, Query),
    ),
    responses((status = 200, body = Page<MethodView>)),
    extensions(("x-principals" = json!(OWN)))
)]
#[get("/v1/contact-methods")]
pub(crate) async fn list(
    state: Data<State>,
    Query(query): Query<ListQuery>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&OWN)?;
    if query.is_of_everybody {
        return list_held(&state, &query.paging, &cursors, &caller).await;
    }
    cursors.open::<()>(OWN_LIST_NAME, &caller, &query.paging)?;
    let staff_id = caller.principal.id.as_str();
    let rows = state
        .db
        .read(&caller.actor()?, contact_methods::LIST, &[&staff_id])
        .await?;
    let items = rows
        .iter()
        .map(|row| Ok(MethodView::new(contact_methods::from_row(row)?, None)))
        .collect::<Result<Vec<_>, db::Error>>()?;
    // One of each method: they fit on every page.
    let page = Page::cut(items, i64::MAX, |_| String::new());
    Ok(caller.disclose([staff_id], &page).await?)
}

async fn list_held(
    state: &State,
    paging: &Paging,
    cursors: &CursorKey,
    caller: &Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ_HELD)?;
    let (staff_id, method): (String, String) = cursors.open(LIST_NAME, caller, paging)?.unwrap_or_default();
    let limit = paging.limit + 1;
    let rows = state
        .db
        .read(
            &caller.actor()?,
            contact_methods::LIST_HELD,
            &[&staff_id, &method, &limit],
        )
        .await?;
    let items = rows
        .iter()
        .map(|row| {
            Ok(HeldView {
                staff_id: row.try_get("staff_id")?,
                method: row.try_get("method")?,
                created_at: row.try_get("created_at")?,
                verified_at: row.try_get("verified_at")?,
            })
        })
        .collect::<Result<Vec<HeldView>, db::Error>>()?;
    let page = Page::cut(items, paging.limit, |last| {
        cursors.seal(LIST_NAME, caller, paging, &(&last.staff_id, &last.method))
    });
    let staff: Vec<&str> = page.items.iter().map(|one| one.staff_id.as_str()).collect();
    Ok(caller.disclose(staff, &page).await?)
}

/// A code as it was sent to the address.
#[derive(ToSchema)]
struct CodeBody {
    /// Eight digits.
    #[schema(value_type = String, example = "49203917")]
    code: contact::Code,
}

impl Read for CodeBody {
    const MAX_BODY_BYTES: usize = 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let code = fields.required("code", read::parsed(contact::Code::sent, "eight digits"));
        Some(Self { code: code? })
    }
}

/// Send back the code: pages go there from now on. It is good for 15 minutes, and for five tries.
#[utoipa::path(
    tag = "contact methods",
    params(("contact_method_id" = i64, Path)),
    request_body = CodeBody,
    responses(
        (status = 200, body = MethodView),
        (status = 422, description = "It is not the code that was sent last, too old, or was tried too often")
    ),
    extensions(("x-principals" = json!(OWN)))
)]
#[post("/v1/contact-methods/{contact_method_id}/verify")]
pub(crate) async fn verify(
    state: Data<State>,
    contact_method_id: Path<Id>,
    request: Write<CodeBody>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&OWN)?;
    let staff_id = caller.principal.id.as_str();
    let actor = caller.actor()?;
    // Counted for good before it is looked at: a wrong code takes nothing back.
    let tx = state.db.begin(&actor).await?;
    let is_there = contact_methods::count_try(&tx, staff_id, **contact_method_id).await?;
    tx.commit().await?;
    if !is_there {
        return Err(Error::NotFound);
    }
    let tx = state.db.begin(&actor).await?;
    web::write(tx, &caller, key, async |tx| {
        let hash = body.code.hash(**contact_method_id);
        let method = (staff_id, **contact_method_id);
        let verified = contact_methods::verify(tx, method, &hash, state.clock.fixed()).await?;
        let verified = verified.ok_or_else(|| {
            let detail = "is not the code that was sent last, or too old, or was tried too often";
            Problem::invalid_field("/code", detail)
        })?;
        Ok::<_, Error>(Answer::ok(&MethodView::new(verified, None))?)
    })
    .await
}

/// Be reached by a method no more. Pages on their way there fail, and go on by the next method.
#[utoipa::path(
    tag = "contact methods",
    params(("contact_method_id" = i64, Path)),
    responses((status = 204)),
    extensions(("x-principals" = json!(OWN)))
)]
#[delete("/v1/contact-methods/{contact_method_id}")]
pub(crate) async fn remove(
    state: Data<State>,
    contact_method_id: Path<Id>,
    request: Write<()>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, key, .. } = request.allow(&OWN)?;
    let staff_id = caller.principal.id.as_str();
    let tx = state.db.begin(&caller.actor()?).await?;
    web::write(tx, &caller, key, async |tx| {
        if contact_methods::delete(tx, staff_id, **contact_method_id).await? {
            Ok(Answer::no_content())
        } else {
            Err(Error::NotFound)
        }
    })
    .await
}
