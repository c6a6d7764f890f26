//! What clients consent to. A consent that was given is never changed, only taken back.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path, ThinData};
use actix_web::{HttpResponse, delete, get, post};
use bus::NewEvent;
use chrono::{DateTime, Utc};
use common::contracts::{ConsentChanged, consent as keys};
use common::{ConsentPurpose, PrincipalKind};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use web::{
    Allowed, Answer, Caller, Code, CursorKey, Fields, Granted, Holder, Id, Identifier, NOBODY_ELSE, Page,
    Paging, Params, Problem, Query, Read, ReadQuery, Write, read,
};

use crate::domain::consent::{self, NewConsent};
use crate::error::Error;
use crate::state::State;
use crate::store::consents::{self, Consent};
use crate::store::users;

const WRITE: Allowed = Allowed(&[
    PrincipalKind::Client,
    PrincipalKind::App,
    PrincipalKind::Counselor,
]);
const READ: Allowed = Allowed(&[
    PrincipalKind::Client,
    PrincipalKind::App,
    PrincipalKind::Counselor,
    PrincipalKind::Supervisor,
]);

const MAX_RECIPIENT_BYTES: usize = 255;
const MAX_SCOPE_BYTES: usize = 100;
const MAX_EVIDENCE_BYTES: usize = 16 * 1024;
const PURPOSES: &str = "biometrics, family_share, meeting, memory, research or escalation_contact";

/// A consent that is given.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; NewConsent is what it is read into")]
struct ConsentBody {
    #[schema(value_type = String, example = "family_share")]
    purpose: ConsentPurpose,
    /// Who may receive what; by default programme. biometrics and memory stay within the programme; family_share and
    /// escalation_contact name somebody outside.
    #[schema(max_length = 255, example = "contact-1")]
    recipient: Option<String>,
    /// How much; by default all that the purpose needs.
    #[schema(max_length = 100, example = "summary_card")]
    scope: Option<String>,
    /// By default it holds until it is revoked.
    expires_at: Option<DateTime<Utc>>,
    /// What shows that the person consented, such as a signed form; up to 16 KiB as JSON. Counselors must send it.
    #[schema(value_type = Option<Object>)]
    evidence: Option<Value>,
}

impl Read for NewConsent {
    const MAX_BODY_BYTES: usize = 64 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let purpose = fields.required("purpose", read::parsed(|word| word.parse().ok(), PURPOSES));
        let named = fields.optional("recipient", read::text(1..=MAX_RECIPIENT_BYTES));
        let scope = fields.optional("scope", read::text(1..=MAX_SCOPE_BYTES));
        let expires_at = fields.optional("expires_at", |value| {
            let ahead = |time: &DateTime<Utc>| *time > Utc::now();
            read::moment(value).and_then(|time| Some(time).filter(ahead).ok_or(NOT_AHEAD.into()))
        });
        let evidence = fields.optional("evidence", read::object(MAX_EVIDENCE_BYTES));
        let (purpose, named) = (purpose?, named?);
        let recipient = consent::recipient(purpose, named)
            .map_err(|fault| fields.fault("recipient", fault))
            .ok();
        Some(Self {
            purpose,
            recipient: recipient?,
            scope: scope?,
            expires_at: expires_at?,
            evidence: evidence?,
        })
    }
}

const NOT_AHEAD: &str = "must lie ahead";

/// A consent.
#[derive(Serialize, ToSchema)]
struct ConsentView {
    consent_id: i64,
    user_id: String,
    #[schema(value_type = String, example = "family_share")]
    purpose: ConsentPurpose,
    recipient: String,
    scope: Option<String>,
    granted_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
    revoked_at: Option<DateTime<Utc>>,
    /// Whether it holds: now, or at the time that was asked about.
    active: bool,
    #[schema(value_type = Option<Object>)]
    evidence: Option<Value>,
}

impl From<Consent> for ConsentView {
    fn from(found: Consent) -> Self {
        Self {
            consent_id: found.consent_id,
            user_id: found.user_id,
            purpose: found.purpose,
            recipient: found.recipient,
            scope: found.terms.scope,
            granted_at: found.granted_at,
            expires_at: found.terms.expires_at,
            revoked_at: found.revoked_at,
            active: found.is_active,
            evidence: found.terms.evidence,
        }
    }
}

/// Consent. The same again changes nothing; other terms of what stands need its revocation first.
#[utoipa::path(
    tag = "consents",
    params(("user_id" = String, Path)),
    request_body = ConsentBody,
    responses(
        (status = 201, body = ConsentView),
        (status = 200, description = "It stands already", body = ConsentView),
        (status = 409, description = "A consent to the same stands with other terms")
    ),
    extensions(("x-principals" = json!(WRITE)))
)]
#[post("/v1/users/{user_id}/consents")]
pub(crate) async fn grant(
    state: Data<State>,
    user_id: Path<Identifier>,
    request: Write<NewConsent>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&WRITE)?;
    if caller.principal.holder == Holder::Staff && !body.is_evident() {
        return Err(Error::refused(
            "evidence",
            "must say what shows that the person consented, such as the form that was signed",
        ));
    }
    let tx = state.db.begin(&caller.actor_for(&user_id)?).await?;
    web::write(tx, &caller, key, async |tx| {
        if users::lock_clients(tx, &[&user_id]).await?.is_empty() {
            return Err(Error::NotFound);
        }
        if let Some(standing) = consents::hold(tx, &user_id, body.purpose, &body.recipient).await? {
            return if body.repeats(&standing.terms) {
                Ok(Answer::ok(&ConsentView::from(standing))?)
            } else {
                Err(differs(standing.consent_id).into())
            };
        }
        let granted = consents::insert(tx, &user_id, &body, caller.request_id.as_str())
            .await
            .map_err(lapsed)?;
        let event = changed(keys::GRANTED, &granted, granted.granted_at)?;
        state.outbox.enqueue(tx, vec![event]);
        Ok(Answer::json(StatusCode::CREATED, &ConsentView::from(granted))?)
    })
    .await
}

fn differs(consent_id: i64) -> Problem {
    Problem::conflict(
        Code::Differs,
        format!("Consent {consent_id} to the same stands with other terms. Revoke it first."),
    )
}

/// Between the door and the row a moment passes, in which a consent that was to end at once has ended.
fn lapsed(error: db::Error) -> Error {
    if error.constraint() == Some("ck_consents_times") {
        Error::refused("expires_at", NOT_AHEAD)
    } else {
        Error::Db(error)
    }
}

fn changed(
    key: &'static str,
    consent: &Consent,
    changed_at: DateTime<Utc>,
) -> Result<NewEvent, bus::EncodeError> {
    let changed = ConsentChanged {
        consent_id: consent.consent_id,
        user_id: consent.user_id.clone(),
        purpose: consent.purpose,
        changed_at,
    };
    NewEvent::new(key, Some(consent.user_id.clone()), &changed)
}

/// Take a consent back, at once: what has begun under it ends first, nothing begins under it any more. Of one that is
/// over nothing changes.
#[utoipa::path(
    tag = "consents",
    params(("consent_id" = i64, Path)),
    responses((status = 204, description = "It holds no more")),
    extensions(("x-principals" = json!(WRITE)))
)]
#[delete("/v1/consents/{consent_id}")]
pub(crate) async fn revoke(
    state: Data<State>,
    consent_id: Path<Id>,
    request: Write<()>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, key, .. } = request.allow(&WRITE)?;
    let tx = state.db.begin(&caller.actor()?).await?;
    web::write(tx, &caller, key, async |tx| {
        let consent = consents::lock(tx, **consent_id).await?.ok_or(Error::NotFound)?;
        if consent.is_active {
            let revoked_at = consents::revoke(tx, **consent_id, caller.request_id.as_str()).await?;
            let event = changed(keys::REVOKED, &consent, revoked_at)?;
            state.outbox.enqueue(tx, vec![event]);
        }
        Ok(Answer::no_content().about([consent.user_id]))
    })
    .await
}

/// Which of a client's consents are asked for.
struct ListQuery {
    active: bool,
    purpose: Option<ConsentPurpose>,
    as_of: Option<DateTime<Utc>>,
    paging: Paging,
}

impl ReadQuery for ListQuery {
    fn read(params: &mut Params) -> Option<Self> {
        let active = params.flag("active");
        let purpose = params.optional("purpose", read::parsed(|word| word.parse().ok(), PURPOSES));
        let as_of = params.optional("as_of", read::timestamp);
        let paging = Paging::read(params);
        Some(Self {
            active: active?,
            purpose: purpose?,
            as_of: as_of?,
            paging: paging?,
        })
    }
}

/// A client's consents with their history, newest first; as of a time, those that had been given by then.
#[utoipa::path(
    tag = "consents",
    params(
        ("user_id" = String, Path),
        ("active" = Option<bool>, Query, description = "true: only those that hold"),
        ("purpose" = Option<String>, Query),
        ("as_of" = Option<DateTime<Utc>>, Query, description = "The time that is asked about; by default now"),
        ("limit" = Option<i64>, Query),
        ("cursor" = Option<String>, Query)
    ),
    responses((status = 200, body = Page<ConsentView>)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/users/{user_id}/consents")]
pub(crate) async fn list(
    state: Data<State>,
    user_id: Path<Identifier>,
    Query(query): Query<ListQuery>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let list = format!("consents of {}", *user_id);
    let before: i64 = cursors.open(&list, &caller, &query.paging)?.unwrap_or(i64::MAX);
    let (purpose, limit) = (query.purpose.map(ConsentPurpose::as_str), query.paging.limit + 1);
    let params: db::Params<'_> = &[
        &&**user_id,
        &purpose,
        &query.active,
        &query.as_of,
        &before,
        &limit,
    ];
    let actor = caller.actor_for(&user_id)?;
    let rows = state.db.read(&actor, consents::LIST, params).await?;
    let found = consents::listed(&rows)?.ok_or(Error::NotFound)?;
    let items = found.into_iter().map(ConsentView::from).collect();
    let page = Page::cut(items, query.paging.limit, |last: &ConsentView| {
        cursors.seal(&list, &caller, &query.paging, &last.consent_id)
    });
    Ok(caller.disclose(NOBODY_ELSE, &page).await?)
}
