//! What left the programme: entered under a consent, and read by auditors and the person.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path, ThinData};
use actix_web::{HttpResponse, get, post};
use chrono::{DateTime, Utc};
use common::{ConsentPurpose, PrincipalKind};
use serde::Serialize;
use utoipa::ToSchema;
use web::{
    Allowed, Answer, Caller, Code, CursorKey, Fields, Granted, Identifier, NOBODY_ELSE, Newest, Page, Paging,
    Params, Problem, Query, Read, ReadQuery, Write, read,
};

use crate::domain::disclosure::{self, NewDisclosure};
use crate::error::Error;
use crate::state::State;
use crate::store::disclosures::{self, Disclosure};

const DISCLOSE: Allowed = Allowed(&[PrincipalKind::Counselor]);
const READ: Allowed = Allowed(&[PrincipalKind::Auditor]);
const READ_OWN: Allowed = Allowed(&[PrincipalKind::Client, PrincipalKind::App]);

const MAX_RECIPIENT_BYTES: usize = 255;
const MAX_WHAT_BYTES: usize = 2_000;
/// Cursors of this list.
const LIST_NAME: &str = "disclosures";

/// A disclosure that is about to be made.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "describes the body; NewDisclosure is what it is read into"
)]
struct DisclosureBody {
    /// The consent that it rests on.
    consent_id: i64,
    /// Who receives it, as the consent names them.
    #[schema(max_length = 255, example = "contact-1")]
    recipient: String,
    /// What is disclosed, described.
    #[schema(max_length = 2000, example = "attendance in October")]
    what: String,
}

impl Read for NewDisclosure {
    const MAX_BODY_BYTES: usize = 16 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let consent_id = fields.required("consent_id", read::integer(1..=i64::MAX));
        let recipient = fields.required("recipient", |value| {
            let text = read::text(1..=MAX_RECIPIENT_BYTES)(value)?;
            let outside = Some(text).filter(|text| disclosure::is_outside(text));
            outside.ok_or_else(|| web::Fault::new("must be outside the programme"))
        });
        let what = fields.required("what", read::text(1..=MAX_WHAT_BYTES));
        Some(Self {
            consent_id: consent_id?,
            recipient: recipient?,
            what: what?,
        })
    }
}

/// A disclosure. Once the person is erased, it says neither whom it was about nor what went to whom.
#[derive(Serialize, ToSchema)]
struct DisclosureView {
    disclosure_id: i64,
    user_id: Option<String>,
    consent_id: Option<i64>,
    /// What the consent is for.
    #[schema(value_type = Option<String>, example = "family_share")]
    purpose: Option<ConsentPurpose>,
    /// How much the consent covers; null for all that its purpose needs.
    scope: Option<String>,
    recipient: Option<String>,
    what: Option<String>,
    at: DateTime<Utc>,
    /// The staff user who disclosed it.
    disclosed_by: Option<String>,
    /// Must go with what is disclosed, together with the consent's id and scope.
    notice: String,
}

impl From<Disclosure> for DisclosureView {
    fn from(found: Disclosure) -> Self {
        Self {
            disclosure_id: found.disclosure_id,
            user_id: found.user_id,
            consent_id: found.consent_id,
            purpose: found.purpose,
            scope: found.scope,
            recipient: found.recipient,
            what: found.what,
            at: found.at,
            disclosed_by: found.disclosed_by,
            notice: found.notice,
        }
    }
}

/// Enter a disclosure before it is made: the answer holds the notice that goes with it. While this runs, the consent
/// cannot be revoked; once it is, this is refused.
#[utoipa::path(
    tag = "disclosures",
    params(("user_id" = String, Path)),
    request_body = DisclosureBody,
    responses(
        (status = 201, body = DisclosureView),
        (status = 403, description = "consent-required: no consent covers it now")
    ),
    extensions(("x-principals" = json!(DISCLOSE)))
)]
#[post("/v1/users/{user_id}/disclosures")]
pub(crate) async fn disclose(
    state: Data<State>,
    user_id: Path<Identifier>,
    request: Write<NewDisclosure>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&DISCLOSE)?;
    let tx = state.db.begin(&caller.actor_for(&user_id)?).await?;
    web::write(tx, &caller, key, async |tx| {
        let entered = disclosures::insert(tx, &user_id, &body, &caller.principal.id).await;
        let entered = entered.map_err(uncovered)?.ok_or(Error::NotFound)?;
        Ok(Answer::json(StatusCode::CREATED, &DisclosureView::from(entered))?)
    })
    .await
}

/// A consent of somebody else, to somebody else, that is over or absent: the answer does not tell them apart.
fn uncovered(error: db::Error) -> Error {
    if error.constraint() == Some("ck_disclosures_consent") {
        Problem::new(
            Code::ConsentRequired,
            "This consent does not cover a disclosure to this recipient now. Ask the person.",
        )
        .into()
    } else {
        Error::Db(error)
    }
}

/// Of which time disclosures are asked for.
struct ListQuery {
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    paging: Paging,
}

impl ReadQuery for ListQuery {
    fn read(params: &mut Params) -> Option<Self> {
        let from = params.optional("from", read::moment);
        let until = params.optional("until", read::moment);
        let paging = Paging::read(params);
        Some(Self {
            from: from?.unwrap_or(DateTime::<Utc>::UNIX_EPOCH),
            until: until?.unwrap_or(DateTime::<Utc>::MAX_UTC),
            paging: paging?,
        })
    }
}

/// The ledger of disclosures, newest first.
#[utoipa::path(
    tag = "disclosures",
    params(
        ("from" = Option<DateTime<Utc>>, Query),
        ("until" = Option<DateTime<Utc>>, Query, description = "Not included"),
        ("limit" = Option<i64>, Query),
        ("cursor" = Option<String>, Query)
    ),
    responses((status = 200, body = Page<DisclosureView>)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/disclosures")]
pub(crate) async fn list(
    state: Data<State>,
    Query(query): Query<ListQuery>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let after: Option<Newest> = cursors.open(LIST_NAME, &caller, &query.paging)?;
    let Newest(at, id) = after.unwrap_or_default();
    let limit = query.paging.limit + 1;
    let params: db::Params<'_> = &[&query.from, &query.until, &at, &id, &limit];
    let rows = state.db.worker_query(disclosures::LIST, params).await?;
    let found = rows
        .iter()
        .map(disclosures::from_row)
        .collect::<Result<Vec<_>, _>>()?;
    let page = page(found, LIST_NAME, &query.paging, &cursors, &caller);
    let people: Vec<String> = page
        .items
        .iter()
        .filter_map(|item| item.user_id.clone())
        .collect();
    Ok(caller.disclose(people, &page).await?)
}

/// What was disclosed of a client, newest first, for the person.
#[utoipa::path(
    tag = "disclosures",
    params(
        ("user_id" = String, Path),
        ("limit" = Option<i64>, Query),
        ("cursor" = Option<String>, Query)
    ),
    responses((status = 200, body = Page<DisclosureView>)),
    extensions(("x-principals" = json!(READ_OWN)))
)]
#[get("/v1/users/{user_id}/disclosures")]
pub(crate) async fn list_of_client(
    state: Data<State>,
    user_id: Path<Identifier>,
    Query(paging): Query<Paging>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ_OWN)?;
    let name = format!("disclosures of {}", *user_id);
    let after: Option<Newest> = cursors.open(&name, &caller, &paging)?;
    let Newest(at, id) = after.unwrap_or_default();
    let limit = paging.limit + 1;
    let params: db::Params<'_> = &[&&**user_id, &at, &id, &limit];
    let actor = caller.actor_for(&user_id)?;
    let rows = state.db.read(&actor, disclosures::OF_CLIENT, params).await?;
    let found = disclosures::of_client(&rows)?.ok_or(Error::NotFound)?;
    let page = page(found, &name, &paging, &cursors, &caller);
    Ok(caller.disclose(NOBODY_ELSE, &page).await?)
}

fn page(
    found: Vec<Disclosure>,
    name: &str,
    paging: &Paging,
    cursors: &CursorKey,
    caller: &Caller,
) -> Page<DisclosureView> {
    let items = found.into_iter().map(DisclosureView::from).collect();
    Page::cut(items, paging.limit, |last: &DisclosureView| {
        cursors.seal(name, caller, paging, &Newest(last.at, last.disclosure_id))
    })
}
