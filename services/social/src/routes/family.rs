//! Sharing with family: what a client's consents to it are about.

pub(super) mod cards;

use actix_web::web::{Data, Path, ThinData};
use actix_web::{HttpResponse, get, post};
use chrono::{DateTime, Utc};
use common::PrincipalKind;
use serde::Serialize;
use utoipa::ToSchema;
use web::{
    Allowed, Answer, Caller, CursorKey, Fields, Granted, Identifier, NOBODY_ELSE, Newest, Page, Paging,
    Query, Read, Write, read,
};

use super::of_client::OfClient;
use super::profiles::must_care_for;
use crate::domain::family::{NewShare, SCOPES};
use crate::error::Error;
use crate::ops;
use crate::state::State;
use crate::store::family::{self, Share};

const SHARE: Allowed = Allowed(&[PrincipalKind::Client, PrincipalKind::App]);
const READ: Allowed = Allowed(&[
    PrincipalKind::Client,
    PrincipalKind::App,
    PrincipalKind::Counselor,
    PrincipalKind::Supervisor,
]);

const MAX_LABEL_BYTES: usize = 100;

/// What a consent to share is about.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; NewShare is what it is read into")]
struct FamilyConsentBody {
    /// A consent of purpose family_share that holds, as core gave it.
    consent_id: i64,
    /// What the client calls the contact.
    #[schema(max_length = 100, example = "my sister")]
    contact_label: String,
    /// summary_card or periodic_updates; where the consent has a scope, the same.
    #[schema(example = "summary_card")]
    consent_scope: String,
}

impl Read for NewShare {
    const MAX_BODY_BYTES: usize = 4 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let consent_id = fields.required("consent_id", read::integer(1..=i64::MAX));
        let contact_label = fields.required("contact_label", read::words(1..=MAX_LABEL_BYTES));
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
    /// Whether the consent holds.
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
pub(crate) async fn create(
    state: Data<State>,
    user_id: Path<Identifier>,
    request: Write<NewShare>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&SHARE)?;
    let actor = caller.actor_for(&user_id)?;
    must_care_for(&state, &actor, &user_id).await?;
    let tx = state.db.begin(&actor).await?;
    web::write(tx, &caller, key, async |tx| {
        let (share, is_new) = ops::share::detail(tx, state.clock.fixed(), &user_id, &body).await?;
        let place = format!("/v1/users/{}/family-consents", *user_id);
        Ok::<_, Error>(Answer::stands(is_new, place, &FamilyConsentView::from(share))?)
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
pub(crate) async fn list(
    state: Data<State>,
    user_id: Path<Identifier>,
    Query(paging): Query<Paging>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let actor = caller.actor_for(&user_id)?;
    must_care_for(&state, &actor, &user_id).await?;
    let asked = OfClient {
        what: "family consents",
        user_id: &user_id,
        caller: &caller,
        actor: &actor,
        cursors: &cursors,
        paging: &paging,
    };
    let statement: (&str, db::Params<'_>) = (&family::shares_sql(), &[]);
    let page = asked
        .page(&state, statement, family::share_from_row, |last| {
            Newest(last.created_at, last.consent_id)
        })
        .await?;
    Ok(caller
        .disclose(NOBODY_ELSE, &page.map(FamilyConsentView::from))
        .await?)
}
