//! Contacts of staff with a client: what an acknowledgement promises.

use actix_web::web::{Data, Path, ThinData};
use actix_web::{HttpResponse, get, post};
use chrono::{DateTime, Utc};
use common::{ContactOutcome, PrincipalKind};
use serde::Serialize;
use utoipa::ToSchema;
use web::{
    Allowed, Answer, Caller, CursorKey, Fields, Granted, Identifier, NOBODY_ELSE, Newest, Page, Paging,
    Problem, Query, Read, Write, read,
};

use super::escalations::MAX_NOTES_BYTES;
use super::profiles::must_see;
use crate::error::Error;
use crate::state::State;
use crate::store::contacts::{self, Contact, Said};

const RECORD: Allowed = Allowed(&[PrincipalKind::Counselor, PrincipalKind::Oncall]);
const READ: Allowed = Allowed(&[
    PrincipalKind::Counselor,
    PrincipalKind::Oncall,
    PrincipalKind::Supervisor,
]);
const METHODS: &[&str] = &["call", "message", "in_person", "video", "other"];

/// A contact with a client.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; Said is what it is read into")]
struct NewContact {
    /// The escalation that it answers, if one.
    escalation_id: Option<i64>,
    /// call, message, in_person, video or other.
    method: String,
    /// spoke, left_message, unreachable, emergency_services or false_alarm.
    outcome: String,
    /// For the record, up to 8 KiB.
    notes: Option<String>,
}

impl Read for Said {
    const MAX_BODY_BYTES: usize = 16 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let escalation_id = fields.optional("escalation_id", read::integer(1..=i64::MAX));
        let method = fields.required("method", read::one_of(METHODS));
        let outcome = fields.required(
            "outcome",
            read::parsed(
                |word| word.parse().ok(),
                "one of spoke, left_message, unreachable, emergency_services, false_alarm",
            ),
        );
        let notes = fields.optional("notes", read::text(1..=MAX_NOTES_BYTES));
        Some(Self {
            escalation_id: escalation_id?,
            method: method?,
            outcome: outcome?,
            notes: notes?,
        })
    }
}

/// A contact as it is read.
#[derive(Serialize, ToSchema)]
struct ContactView {
    contact_id: i64,
    user_id: String,
    /// Who made contact; null once that person has left.
    staff_id: Option<String>,
    escalation_id: Option<i64>,
    method: String,
    #[schema(value_type = String, example = "spoke")]
    outcome: ContactOutcome,
    at: DateTime<Utc>,
    notes: Option<String>,
}

impl From<Contact> for ContactView {
    fn from(found: Contact) -> Self {
        Self {
            contact_id: found.contact_id,
            user_id: found.client_id,
            staff_id: found.staff_id,
            escalation_id: found.escalation_id,
            method: found.method,
            outcome: found.outcome,
            at: found.at,
            notes: found.notes,
        }
    }
}

/// Record a contact with a client. An acknowledgement of an escalation of theirs has kept its promise with it.
#[utoipa::path(
    tag = "contacts",
    params(("user_id" = String, Path)),
    request_body = NewContact,
    responses((status = 201, body = ContactView)),
    extensions(("x-principals" = json!(RECORD)))
)]
#[post("/v1/users/{user_id}/contacts")]
pub(crate) async fn create(
    state: Data<State>,
    user_id: Path<Identifier>,
    request: Write<Said>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&RECORD)?;
    must_see(&state, &caller.actor()?, &user_id).await?;
    let tx = state.db.begin(&caller.actor()?).await?;
    web::write(tx, &caller, key, async |tx| {
        let staff_id = &caller.principal.id;
        let made = contacts::insert(tx, &user_id, staff_id, &body, state.clock.fixed())
            .await?
            .ok_or_else(|| Problem::invalid_field("/escalation_id", "is no escalation of this client"))?;
        let location = format!("/v1/users/{}/contacts", &**user_id);
        Ok::<_, Error>(Answer::created(location, &ContactView::from(made))?)
    })
    .await
}

/// A client's contacts with staff, newest first.
#[utoipa::path(
    tag = "contacts",
    params(
        ("user_id" = String, Path),
        ("limit" = Option<i64>, Query),
        ("cursor" = Option<String>, Query),
    ),
    responses((status = 200, body = Page<ContactView>)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/users/{user_id}/contacts")]
pub(crate) async fn list(
    state: Data<State>,
    user_id: Path<Identifier>,
    Query(paging): Query<Paging>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let actor = caller.actor()?;
    let name = format!("contacts/{}", &**user_id);
    let Newest(at, id) = cursors.open(&name, &caller, &paging)?.unwrap_or_default();
    must_see(&state, &actor, &user_id).await?;
    let limit = paging.limit + 1;
    let params: db::Params<'_> = &[&&**user_id, &at, &id, &limit];
    let rows = state.db.read(&actor, contacts::LIST, params).await?;
    let found = rows
        .iter()
        .map(contacts::from_row)
        .collect::<Result<Vec<_>, _>>()?;
    let page = Page::cut(found, paging.limit, |last| {
        cursors.seal(&name, &caller, &paging, &Newest(last.at, last.contact_id))
    });
    Ok(caller.disclose(NOBODY_ELSE, &page.map(ContactView::from)).await?)
}
