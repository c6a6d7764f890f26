//! Escalations: the queue of staff, and what a client sees of it: that help is coming.

pub(crate) mod comments;
pub(crate) mod ending;
pub(crate) mod moving;
pub(crate) mod raising;

use actix_web::web::{Data, Path, ThinData};
use actix_web::{HttpResponse, get, post};
use chrono::{DateTime, Utc};
use common::contracts::escalation;
use common::{ContactOutcome, EscalationStatus, EscalationType, PrincipalKind, Urgency};
use db::{Actor, Tx};
use serde::Serialize;
use utoipa::ToSchema;
use web::{
    Allowed, Answer, Caller, Code, CursorKey, Fields, Granted, Id, Newest, Page, Paging, Params, Problem,
    Query, Read, ReadQuery, Write, read,
};

use crate::domain::escalation::ACK_LEASE_MAX_MINUTES;
use crate::error::Error;
use crate::ops::raise::changed;
use crate::state::State;
use crate::store::caseload;
use crate::store::escalations::{self, Escalation};

const READ: Allowed = Allowed(&[
    PrincipalKind::Client,
    PrincipalKind::App,
    PrincipalKind::Counselor,
    PrincipalKind::Oncall,
    PrincipalKind::Supervisor,
]);
const ANSWER: Allowed = Allowed(&[
    PrincipalKind::Counselor,
    PrincipalKind::Oncall,
    PrincipalKind::Supervisor,
]);

/// As much as staff write on an escalation or a contact.
pub(super) const MAX_NOTES_BYTES: usize = 8 * 1024;

/// An escalation, as far as the caller may read it: clients and their app see the first four fields.
#[derive(Serialize, ToSchema)]
struct EscalationView {
    escalation_id: i64,
    timestamp: DateTime<Utc>,
    #[schema(value_type = String, example = "notified")]
    status: EscalationStatus,
    user_id: Option<String>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    details: Option<Details>,
}

/// What staff see of an escalation.
#[derive(Serialize, ToSchema)]
struct Details {
    #[schema(value_type = String, example = "profile_risk")]
    escalation_type: EscalationType,
    #[schema(value_type = String, example = "critical")]
    urgency: Urgency,
    risk_score: Option<f64>,
    risk_level: String,
    trigger_reason: Option<String>,
    trigger_data: Option<serde_json::Value>,
    trigger_count: i32,
    last_triggered_at: DateTime<Utc>,
    policy_id: Option<i64>,
    /// Which tier of the policy was told last; the one behind its tiers is the last resort.
    tier: i32,
    /// How often a tier was told anew.
    round: i32,
    /// When the next tier is told, unless somebody acknowledges.
    next_tier_at: Option<DateTime<Utc>>,
    /// Who was told first, or was handed it last.
    escalated_to: Option<String>,
    notification_method: Option<String>,
    acknowledged_at: Option<DateTime<Utc>>,
    acknowledged_by: Option<String>,
    /// Until when the acknowledgement holds without a contact.
    ack_expires_at: Option<DateTime<Utc>>,
    resolved_at: Option<DateTime<Utc>>,
    #[schema(value_type = Option<String>, example = "spoke")]
    outcome: Option<ContactOutcome>,
    resolution_notes: Option<String>,
    next_contact_at: Option<DateTime<Utc>>,
}

impl EscalationView {
    fn new(found: Escalation, caller: &Caller) -> Self {
        let is_staff = caller.allow(&ANSWER).is_ok();
        Self {
            escalation_id: found.escalation_id,
            timestamp: found.timestamp,
            status: found.status,
            user_id: found.user_id.clone(),
            details: is_staff.then(|| Details::from(found)),
        }
    }
}

impl From<Escalation> for Details {
    fn from(found: Escalation) -> Self {
        let waits = matches!(
            found.status,
            EscalationStatus::Pending | EscalationStatus::Notified
        );
        Self {
            escalation_type: found.escalation_type,
            urgency: found.urgency,
            risk_score: found.risk_score,
            risk_level: found.risk_level,
            trigger_reason: found.trigger_reason,
            trigger_data: found.trigger_data,
            trigger_count: found.trigger_count,
            last_triggered_at: found.last_triggered_at,
            policy_id: found.policy_id,
            tier: found.tier,
            round: found.round,
            // An acknowledgement that runs out sets it anew.
            next_tier_at: found.next_tier_at.filter(|_| waits),
            escalated_to: found.escalated_to,
            notification_method: found.notification_method,
            acknowledged_at: found.acknowledged_at,
            acknowledged_by: found.acknowledged_by,
            ack_expires_at: found.ack_expires_at,
            resolved_at: found.resolved_at,
            outcome: found.outcome,
            resolution_notes: found.resolution_notes,
            next_contact_at: found.next_contact_at,
        }
    }
}

/// Which escalations are listed.
struct ListQuery {
    status: Option<EscalationStatus>,
    urgency: Option<Urgency>,
    mine: bool,
    paging: Paging,
}

impl ReadQuery for ListQuery {
    fn read(params: &mut Params) -> Option<Self> {
        let status = params.optional(
            "status",
            read::parsed(|word| word.parse().ok(), "a status, such as notified"),
        );
        let urgency = params.optional(
            "urgency",
            read::parsed(|word| word.parse().ok(), "an urgency, such as critical"),
        );
        let mine = params.flag("mine");
        let paging = Paging::read(params);
        Some(Self {
            status: status?,
            urgency: urgency?,
            mine: mine?,
            paging: paging?,
        })
    }
}

/// Escalations that the caller may see, newest first. `mine=true`: those the caller has acknowledged.
#[utoipa::path(
    tag = "escalations",
    params(
        ("status" = Option<String>, Query),
        ("urgency" = Option<String>, Query),
        ("mine" = Option<bool>, Query),
        ("limit" = Option<i64>, Query),
        ("cursor" = Option<String>, Query),
    ),
    responses((status = 200, body = Page<EscalationView>)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/escalations")]
pub(crate) async fn list(
    state: Data<State>,
    Query(query): Query<ListQuery>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    if caller.allow(&ANSWER).is_err() && (query.urgency.is_some() || query.mine) {
        // A filter on what is not shown would show it.
        return Err(Problem::invalid_field("?urgency", "and mine are for staff").into());
    }
    let Newest(at, id) = cursors
        .open("escalations", &caller, &query.paging)?
        .unwrap_or_default();
    let status = query.status.map(EscalationStatus::as_str);
    let urgency = query.urgency.map(Urgency::as_str);
    let mine = query.mine.then_some(caller.principal.id.as_str());
    let limit = query.paging.limit + 1;
    let actor = caller.actor()?;
    let params: db::Params<'_> = &[&status, &urgency, &mine, &at, &id, &limit];
    let rows = state.db.read(&actor, &escalations::list_sql(), params).await?;
    if rows.is_empty()
        && let Some(client) = &caller.on_behalf_of
    {
        must_be_client(&state, &actor, client).await?;
    }
    let found = rows
        .iter()
        .map(escalations::from_row)
        .collect::<Result<Vec<_>, _>>()?;
    let page = Page::cut(found, query.paging.limit, |last| {
        cursors.seal(
            "escalations",
            &caller,
            &query.paging,
            &Newest(last.timestamp, last.escalation_id),
        )
    });
    let page = page.map(|found| EscalationView::new(found, &caller));
    let shown: Vec<&str> = page
        .items
        .iter()
        .filter_map(|one| one.user_id.as_deref())
        .collect();
    Ok(caller.disclose(shown, &page).await?)
}

/// 404 for an app that acts for somebody who is no client: the empty list would say that there is one in no need. Asked
/// only where the list is empty, so that it costs nothing otherwise.
async fn must_be_client(state: &State, actor: &Actor, user_id: &str) -> Result<(), Error> {
    let found = state.db.read(actor, caseload::IS_CLIENT, &[&user_id]).await?;
    found.first().map(drop).ok_or(Error::NotFound)
}

/// One escalation.
#[utoipa::path(
    tag = "escalations",
    responses((status = 200, body = EscalationView)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/escalations/{escalation_id}")]
pub(crate) async fn find(
    state: Data<State>,
    escalation_id: Path<Id>,
    _: Query<()>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let rows = state
        .db
        .read(&caller.actor()?, &escalations::find_sql(), &[&**escalation_id])
        .await?;
    let found = escalations::from_row(rows.first().ok_or(Error::NotFound)?)?;
    let client = found.user_id.clone();
    Ok(caller
        .disclose(client, &EscalationView::new(found, &caller))
        .await?)
}

/// How long the caller takes the escalation for.
#[derive(ToSchema)]
struct Acknowledge {
    /// Minutes within which contact is promised, 1 to 1,440; by default what the policy says, 30 unless that was changed.
    lease_minutes: Option<i64>,
}

impl Read for Acknowledge {
    const MAX_BODY_BYTES: usize = 1024;
    const MAY_BE_ABSENT: bool = true;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let minutes = fields.optional("lease_minutes", read::integer(1..=ACK_LEASE_MAX_MINUTES));
        Some(Self {
            lease_minutes: minutes?,
        })
    }
}

/// Take an escalation. Of two who try at the same time one wins; the other is told 409, and the audit of both.
#[utoipa::path(
    tag = "escalations",
    request_body = Acknowledge,
    responses((status = 200, body = EscalationView)),
    extensions(("x-principals" = json!(ANSWER)))
)]
#[post("/v1/escalations/{escalation_id}/acknowledge")]
pub(crate) async fn acknowledge(
    state: Data<State>,
    escalation_id: Path<Id>,
    request: Write<Acknowledge>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&ANSWER)?;
    let staff_id = caller.principal.id.as_str();
    let tx = state.db.begin(&caller.actor()?).await?;
    let answered = web::write(tx, &caller, key, async |tx| {
        let found = lock_open(tx, **escalation_id).await?;
        // Acknowledging again renews the lease: the page is still being worked on.
        if found.acknowledged_by.as_deref().is_some_and(|by| by != staff_id) {
            return Err(Error::EscalationTaken);
        }
        let now = state.clock.fixed();
        let taken = escalations::acknowledge(tx, **escalation_id, staff_id, body.lease_minutes, now).await?;
        state
            .outbox
            .enqueue(tx, vec![changed(escalation::ACKNOWLEDGED, &taken)?]);
        answer(taken, &caller)
    })
    .await;
    if matches!(answered, Err(Error::EscalationTaken)) {
        caller.refused(Code::WrongState).await?;
    }
    answered
}

/// Locks an open episode; 404 where the caller does not see it, 409 where it has ended.
async fn lock_open(tx: &Tx, escalation_id: i64) -> Result<Escalation, Error> {
    let found = escalations::lock(tx, escalation_id)
        .await?
        .ok_or(Error::NotFound)?;
    match found.status {
        EscalationStatus::Pending | EscalationStatus::Notified | EscalationStatus::Acknowledged => Ok(found),
        EscalationStatus::Resolved | EscalationStatus::Cancelled => {
            Err(Error::EscalationClosed(found.status))
        }
    }
}

fn answer(found: Escalation, caller: &Caller) -> Result<Answer, Error> {
    let client = found.user_id.clone();
    Ok(Answer::ok(&EscalationView::new(found, caller))?.about(client))
}
