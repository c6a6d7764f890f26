//! Cards for the family: none leaves without a consent that holds at that moment, and an entry in the ledger.

use actix_web::web::{Data, Path, ThinData};
use actix_web::{HttpResponse, get, post};
use chrono::{DateTime, Utc};
use common::REDISCLOSURE_NOTICE;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use web::{
    Answer, Caller, CursorKey, Fields, Granted, Id, Identifier, NOBODY_ELSE, Newest, Page, Paging, Params,
    Query, Read, ReadQuery, Write, read,
};

use super::super::of_client::OfClient;
use super::super::profiles::must_care_for;
use super::{READ, SHARE};
use crate::domain::family::{MAX_TEXT_BYTES, MAX_TITLE_BYTES, NewCard, STATUSES};
use crate::error::Error;
use crate::ops;
use crate::state::State;
use crate::store::family::{self, Card};

const MAX_METADATA_BYTES: usize = 8 * 1024;

/// Something to be shared.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; NewCard is what it is read into")]
struct FamilyCardBody {
    /// A consent whose detail is stored.
    consent_id: i64,
    /// The companion's role that it came from.
    role: Option<String>,
    /// The thread that it came from.
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
        let title = fields.required("title", read::words(1..=MAX_TITLE_BYTES));
        let body = fields.required("body", read::long_text(1..=MAX_TEXT_BYTES));
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
    #[schema(value_type = Option<Object>)]
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
    consent_id: i64,
    share_status: String,
    created_at: DateTime<Utc>,
}

impl From<Card> for WaitingCardView {
    fn from(made: Card) -> Self {
        Self {
            card_id: made.card_id,
            consent_id: made.consent_id,
            share_status: made.share_status,
            created_at: made.created_at,
        }
    }
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
pub(crate) async fn create(
    state: Data<State>,
    user_id: Path<Identifier>,
    request: Write<NewCard>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&SHARE)?;
    let actor = caller.actor_for(&user_id)?;
    must_care_for(&state, &actor, &user_id).await?;
    let tx = state.db.begin(&actor).await?;
    web::write(tx, &caller, key, async |tx| {
        let made = ops::share::write_card(tx, state.clock.fixed(), &user_id, &body).await?;
        let place = format!("/v1/users/{}/family-cards", *user_id);
        Ok::<_, Error>(Answer::created(place, &WaitingCardView::from(made))?)
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
pub(crate) async fn list(
    state: Data<State>,
    user_id: Path<Identifier>,
    Query(query): Query<CardsQuery>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let actor = caller.actor_for(&user_id)?;
    must_care_for(&state, &actor, &user_id).await?;
    let asked = OfClient {
        what: "family cards",
        user_id: &user_id,
        caller: &caller,
        actor: &actor,
        cursors: &cursors,
        paging: &query.paging,
    };
    let statement: (&str, db::Params<'_>) = (&family::cards_sql(), &[&query.status]);
    let page = asked
        .page(&state, statement, family::card_from_row, |last| {
            Newest(last.created_at, last.card_id)
        })
        .await?;
    Ok(caller
        .disclose(NOBODY_ELSE, &page.map(FamilyCardView::from))
        .await?)
}

/// A card that may go out now.
#[derive(Serialize, ToSchema)]
struct SharedCardView {
    #[serde(flatten)]
    card: FamilyCardView,
    /// Must go with what is shared, together with the consent's id.
    notice: &'static str,
}

/// Share a card: the app sends it to the contact once this has answered, with the notice. While this runs the consent
/// cannot be taken back; once it is, this is refused, also for a card that was shared before. Again changes nothing. An
/// Idempotency-Key has no effect: no answer of before stands for a consent that is over by now.
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
    let Granted { caller, .. } = request.allow(&SHARE)?;
    let tx = state.db.begin(&caller.actor()?).await?;
    web::write(tx, &caller, None, async |tx| {
        let shared = ops::share::share(tx, &state.outbox, **card_id).await?;
        let client = shared.user_id.clone();
        let view = SharedCardView {
            card: shared.into(),
            notice: REDISCLOSURE_NOTICE,
        };
        Ok::<_, Error>(Answer::ok(&view)?.about([client]))
    })
    .await
}
