//! Sharing with family: nothing leaves without a consent that holds at that moment and an entry in the ledger.

use actix_web::web::{Data, Path, ThinData};
use actix_web::{HttpResponse, get, post};
use chrono::{DateTime, Utc};
use common::{PrincipalKind, REDISCLOSURE_NOTICE};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use web::{
    Allowed, Answer, Caller, Code, CursorKey, Fields, Granted, Id, Identifier, NOBODY_ELSE, Newest, Page,
    Paging, Params, Problem, Query, Read, ReadQuery, Write, read,
};

use crate::domain::family::{NewCard, NewShare, PENDING, SCOPES, STATUSES};
use crate::error::Error;
use crate::state::State;
use crate::store::family::{self, Card, Share};

const SHARE: Allowed = Allowed(&[PrincipalKind::Client, PrincipalKind::App]);
const READ: Allowed = Allowed(&[
    PrincipalKind::Client,
    PrincipalKind::App,
    PrincipalKind::Counselor,
    PrincipalKind::Supervisor,
]);

const MAX_LABEL_BYTES: usize = 100;
const MAX_TITLE_BYTES: usize = 200;
const MAX_BODY_BYTES: usize = 16 * 1024;
const MAX_METADATA_BYTES: usize = 8 * 1024;

/// What a consent to share is about.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; NewShare is what it is read into")]
struct FamilyConsentBody {
    /// A consent of purpose family_share that holds, as core gave it.
    consent_id: i64,
    /// What the client calls the contact.
    #[schema(max_length = 100, example = "my sister")]
    contact_label: String,
    /// summary_card or periodic_updates.
    #[schema(example = "summary_card")]
    consent_scope: String,
}

impl Read for NewShare {
    const MAX_BODY_BYTES: usize = 4 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let consent_id = fields.required("consent_id", read::integer(1..=i64::MAX));
        let contact_label = fields.required("contact_label", read::text(1..=MAX_LABEL_BYTES));
        let consent_scope = fields.required("consent_scope", read::one_of(SCOPES));
        Some(Self {
            consent_id: consent_id?,
            contact_label: contact_label?,
            consent_scope: consent_scope?,
        })
    }
}

/// What a consent to share is about.
#[derive(Serialize, ToSchema)]
struct FamilyConsentView {
    consent_id: i64,
    contact_label: String,
    consent_scope: String,
    /// Whether it was not taken back, as far as this service has heard; what is shared is asked of core.
    is_active: bool,
    created_at: DateTime<Utc>,
}

impl From<Share> for FamilyConsentView {
    fn from(found: Share) -> Self {
        Self {
            consent_id: found.consent_id,
            contact_label: found.contact_label,
            consent_scope: found.consent_scope,
            is_active: found.is_active,
            created_at: found.created_at,
        }
    }
}

/// The answer where no consent of the client covers it, whosever and whatever it is.
fn consent_required() -> Error {
    Problem::new(
        Code::ConsentRequired,
        "This is no consent of the client to share with family, or it is over. Ask the client for one with the purpose \
         family_share.",
    )
    .into()
}

/// Say what a consent to share with family is about. The same again is 200, another detail of the same consent 409.
#[utoipa::path(
    tag = "family",
    params(("user_id" = String, Path)),
    request_body = FamilyConsentBody,
    responses(
        (status = 201, body = FamilyConsentView),
        (status = 200, description = "It stands already", body = FamilyConsentView),
        (status = 403, description = "consent-required: it is no consent of the client to share with family that holds")
    ),
    extensions(("x-principals" = json!(SHARE)))
)]
#[post("/v1/users/{user_id}/family-consents")]
pub(crate) async fn create_consent(
    state: Data<State>,
    user_id: Path<Identifier>,
    request: Write<NewShare>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&SHARE)?;
    let actor = caller.actor_for(&user_id)?;
    super::profiles::must_care_for(&state, &actor, &user_id).await?;
    let tx = state.db.begin(&actor).await?;
    web::write(tx, &caller, key, async |tx| {
        family::hold(tx, &user_id, body.consent_id)
            .await?
            .ok_or_else(consent_required)?;
        let place = format!("/v1/users/{}/family-consents", *user_id);
        let answer = match family::insert_share(tx, &user_id, &body).await? {
            Some(made) => Answer::created(place, &FamilyConsentView::from(made))?,
            None => {
                let stands = family::find_share(tx, &user_id, body.consent_id).await?;
                let stands = stands.ok_or(Error::NotFound)?;
                if stands.contact_label != body.contact_label || stands.consent_scope != body.consent_scope {
                    return Err(Error::ShareDiffers);
                }
                Answer::ok(&FamilyConsentView::from(stands))?
            }
        };
        Ok(answer.about([user_id.to_string()]))
    })
    .await
}

/// With whom a client shares, newest first.
#[utoipa::path(
    tag = "family",
    params(
        ("user_id" = String, Path),
        ("limit" = Option<i64>, Query),
        ("cursor" = Option<String>, Query),
    ),
    responses((status = 200, body = Page<FamilyConsentView>)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/users/{user_id}/family-consents")]
pub(crate) async fn list_consents(
    state: Data<State>,
    user_id: Path<Identifier>,
    Query(paging): Query<Paging>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let listed = format!("family consents of {}", *user_id);
    let Newest(at, id) = cursors.open(&listed, &caller, &paging)?.unwrap_or_default();
    let actor = caller.actor_for(&user_id)?;
    super::profiles::must_care_for(&state, &actor, &user_id).await?;
    let limit = paging.limit + 1;
    let rows = state
        .db
        .read(&actor, &family::shares_sql(), &[&&**user_id, &at, &id, &limit])
        .await?;
    let found = rows.iter().map(family::share_from_row).collect::<Result<Vec<_>, _>>()?;
    let page = Page::cut(found, paging.limit, |last| {
        cursors.seal(&listed, &caller, &paging, &Newest(last.created_at, last.consent_id))
    });
    let page = page.map(FamilyConsentView::from);
    Ok(caller.disclose(NOBODY_ELSE, &page).await?)
}

/// Something to be shared.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; NewCard is what it is read into")]
struct FamilyCardBody {
    /// A consent whose detail is stored.
    consent_id: i64,
    /// The companion's role that it came from.
    role: Option<String>,
    thread_id: Option<String>,
    #[schema(max_length = 200)]
    title: String,
    #[schema(max_length = 16384)]
    body: String,
    /// Up to 8 KiB as JSON.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
}

impl Read for NewCard {
    const MAX_BODY_BYTES: usize = 128 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let consent_id = fields.required("consent_id", read::integer(1..=i64::MAX));
        let role = fields.optional("role", read::identifier);
        let thread_id = fields.optional("thread_id", read::identifier);
        let title = fields.required("title", read::text(1..=MAX_TITLE_BYTES));
        let body = fields.required("body", read::long_text(1..=MAX_BODY_BYTES));
        let metadata = fields.optional("metadata", read::object(MAX_METADATA_BYTES));
        Some(Self {
            consent_id: consent_id?,
            role: role?,
            thread_id: thread_id?,
            title: title?,
            body: body?,
            metadata: metadata?,
        })
    }
}

/// Something to be shared, or that was.
#[derive(Serialize, ToSchema)]
struct FamilyCardView {
    card_id: i64,
    consent_id: i64,
    role: Option<String>,
    thread_id: Option<String>,
    title: String,
    body: String,
    /// pending, shared, or failed where the consent ended before.
    share_status: String,
    /// The recipient whom the consent names.
    shared_with: Option<String>,
    /// The entry in the ledger of disclosures.
    disclosure_id: Option<i64>,
    metadata: Option<Value>,
    created_at: DateTime<Utc>,
    shared_at: Option<DateTime<Utc>>,
}

impl From<Card> for FamilyCardView {
    fn from(found: Card) -> Self {
        Self {
            card_id: found.card_id,
            consent_id: found.consent_id,
            role: found.role,
            thread_id: found.thread_id,
            title: found.title,
            body: found.body,
            share_status: found.share_status,
            shared_with: found.shared_with,
            disclosure_id: found.disclosure_id,
            metadata: found.metadata,
            created_at: found.created_at,
            shared_at: found.shared_at,
        }
    }
}

/// What the writing of a card answers: its text is not sent back.
#[derive(Serialize, ToSchema)]
struct WaitingCardView {
    card_id: i64,
    share_status: String,
    created_at: DateTime<Utc>,
}

/// Write a card that is to be shared. It needs a consent now, and again when it is shared.
#[utoipa::path(
    tag = "family",
    params(("user_id" = String, Path)),
    request_body = FamilyCardBody,
    responses(
        (status = 201, body = WaitingCardView),
        (status = 403, description = "consent-required: no consent of the client covers it now")
    ),
    extensions(("x-principals" = json!(SHARE)))
)]
#[post("/v1/users/{user_id}/family-cards")]
pub(crate) async fn create_card(
    state: Data<State>,
    user_id: Path<Identifier>,
    request: Write<NewCard>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&SHARE)?;
    let actor = caller.actor_for(&user_id)?;
    super::profiles::must_care_for(&state, &actor, &user_id).await?;
    let tx = state.db.begin(&actor).await?;
    web::write(tx, &caller, key, async |tx| {
        family::hold(tx, &user_id, body.consent_id)
            .await?
            .ok_or_else(consent_required)?;
        let detail = family::find_share(tx, &user_id, body.consent_id).await?;
        if detail.is_none() {
            return Err(Problem::invalid_field("/consent_id", "has no detail yet; post it to family-consents").into());
        }
        let made = family::insert_card(tx, &user_id, &body).await?;
        let view = WaitingCardView {
            card_id: made.card_id,
            share_status: made.share_status,
            created_at: made.created_at,
        };
        let place = format!("/v1/users/{}/family-cards", *user_id);
        Ok(Answer::created(place, &view)?.about([user_id.to_string()]))
    })
    .await
}

/// Which cards are listed.
struct CardsQuery {
    status: Option<&'static str>,
    paging: Paging,
}

impl ReadQuery for CardsQuery {
    fn read(params: &mut Params) -> Option<Self> {
        let status = params.optional("status", read::one_of(STATUSES));
        let paging = Paging::read(params);
        Some(Self {
            status: status?,
            paging: paging?,
        })
    }
}

/// A client's cards, newest first.
#[utoipa::path(
    tag = "family",
    params(
        ("user_id" = String, Path),
        ("status" = Option<String>, Query, description = "pending, shared or failed"),
        ("limit" = Option<i64>, Query),
        ("cursor" = Option<String>, Query),
    ),
    responses((status = 200, body = Page<FamilyCardView>)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/users/{user_id}/family-cards")]
pub(crate) async fn list_cards(
    state: Data<State>,
    user_id: Path<Identifier>,
    Query(query): Query<CardsQuery>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let CardsQuery { status, paging } = query;
    let listed = format!("family cards of {}", *user_id);
    let Newest(at, id) = cursors.open(&listed, &caller, &paging)?.unwrap_or_default();
    let actor = caller.actor_for(&user_id)?;
    super::profiles::must_care_for(&state, &actor, &user_id).await?;
    let limit = paging.limit + 1;
    let rows = state
        .db
        .read(&actor, &family::cards_sql(), &[&&**user_id, &status, &at, &id, &limit])
        .await?;
    let found = rows.iter().map(family::card_from_row).collect::<Result<Vec<_>, _>>()?;
    let page = Page::cut(found, paging.limit, |last| {
        cursors.seal(&listed, &caller, &paging, &Newest(last.created_at, last.card_id))
    });
    let page = page.map(FamilyCardView::from);
    Ok(caller.disclose(NOBODY_ELSE, &page).await?)
}

/// A card that may go out now, and what must go with it.
#[derive(Serialize, ToSchema)]
struct SharedCardView {
    card_id: i64,
    consent_id: i64,
    /// The recipient whom the consent names.
    shared_with: Option<String>,
    shared_at: Option<DateTime<Utc>>,
    disclosure_id: Option<i64>,
    /// Goes with what is shared.
    notice: &'static str,
}

/// Share a card that waits: the app sends it once this has answered, with the notice. While this runs the consent cannot be
/// revoked; once it is, this is refused, and the card stays unsent.
#[utoipa::path(
    tag = "family",
    responses(
        (status = 200, body = SharedCardView),
        (status = 403, description = "consent-required: the consent is over")
    ),
    extensions(("x-principals" = json!(SHARE)))
)]
#[post("/v1/family-cards/{card_id}/share")]
pub(crate) async fn share(
    state: Data<State>,
    card_id: Path<Id>,
    request: Write<()>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, key, .. } = request.allow(&SHARE)?;
    let tx = state.db.begin(&caller.actor()?).await?;
    web::write(tx, &caller, key, async |tx| {
        let card = family::lock_card(tx, **card_id).await?.ok_or(Error::NotFound)?;
        if card.share_status != PENDING {
            return Err(Error::CardState(card.share_status));
        }
        let recipient = family::hold(tx, &card.user_id, card.consent_id).await?;
        let recipient = recipient.ok_or_else(consent_required)?;
        let shared = family::share(tx, &card, &recipient, REDISCLOSURE_NOTICE).await?;
        let view = SharedCardView {
            card_id: shared.card_id,
            consent_id: shared.consent_id,
            shared_with: shared.shared_with,
            shared_at: shared.shared_at,
            disclosure_id: shared.disclosure_id,
            notice: REDISCLOSURE_NOTICE,
        };
        Ok(Answer::ok(&view)?.about([shared.user_id]))
    })
    .await
}
