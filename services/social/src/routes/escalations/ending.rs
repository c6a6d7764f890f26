//! How an escalation ends: with an outcome, or without one because it needs no answer.

use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, post};
use chrono::{DateTime, Utc};
use common::PrincipalKind;
use common::contracts::escalation;
use utoipa::ToSchema;
use web::{Allowed, Fields, Granted, Id, Read, Write, read};

use super::super::ahead::must_be_ahead;
use super::{ANSWER, EscalationView, MAX_NOTES_BYTES, answer, lock_open};
use crate::domain::escalation::is_final;
use crate::error::Error;
use crate::ops::raise::changed;
use crate::state::State;
use crate::store::escalations::{self, Resolution};

const CANCEL: Allowed = Allowed(&[PrincipalKind::Counselor, PrincipalKind::Supervisor]);

/// Who was not reached is not left alone for longer.
const NEXT_CONTACT_MAX_DAYS: i64 = 90;

/// What came of an escalation.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; Resolution is what it is read into")]
struct ResolveBody {
    /// spoke, left_message, unreachable, emergency_services or false_alarm.
    outcome: String,
    /// For the record, up to 8 KiB.
    notes: Option<String>,
    /// When the client is contacted next; needed for left_message and unreachable. A meeting is proposed for then.
    next_contact_at: Option<DateTime<Utc>>,
}

impl Read for Resolution {
    const MAX_BODY_BYTES: usize = 16 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let outcome = fields.required(
            "outcome",
            read::parsed(
                |word| word.parse().ok(),
                "one of spoke, left_message, unreachable, emergency_services, false_alarm",
            ),
        );
        let notes = fields.optional("notes", read::text(1..=MAX_NOTES_BYTES));
        let next_contact_at = fields.optional("next_contact_at", read::moment);
        let (outcome, next_contact_at) = (outcome?, next_contact_at?);
        if next_contact_at.is_none() && !is_final(outcome) {
            fields.fault("next_contact_at", "is required: the client was not reached");
            return None;
        }
        Some(Self {
            outcome,
            notes: notes?,
            next_contact_at,
        })
    }
}

/// End an escalation with its outcome, which is recorded as a contact with the client.
#[utoipa::path(
    tag = "escalations",
    request_body = ResolveBody,
    responses((status = 200, body = EscalationView)),
    extensions(("x-principals" = json!(ANSWER)))
)]
#[post("/v1/escalations/{escalation_id}/resolve")]
pub(crate) async fn resolve(
    state: Data<State>,
    escalation_id: Path<Id>,
    request: Write<Resolution>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&ANSWER)?;
    must_be_ahead(
        body.next_contact_at,
        NEXT_CONTACT_MAX_DAYS,
        "/next_contact_at",
        state.clock.fixed(),
    )?;
    let staff_id = caller.principal.id.as_str();
    let tx = state.db.begin(&caller.actor()?).await?;
    web::write(tx, &caller, key, async |tx| {
        lock_open(tx, **escalation_id).await?;
        let resolved =
            escalations::resolve(tx, **escalation_id, staff_id, &body, state.clock.fixed()).await?;
        state
            .outbox
            .enqueue(tx, vec![changed(escalation::RESOLVED, &resolved)?]);
        answer(resolved, &caller)
    })
    .await
}

/// Why an escalation needs no answer.
#[derive(ToSchema)]
struct Cancel {
    /// For the record, up to 8 KiB.
    reason: String,
}

impl Read for Cancel {
    const MAX_BODY_BYTES: usize = 16 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let reason = fields.required("reason", read::words(1..=MAX_NOTES_BYTES));
        Some(Self { reason: reason? })
    }
}

/// End an escalation that needs no answer.
#[utoipa::path(
    tag = "escalations",
    request_body = Cancel,
    responses((status = 200, body = EscalationView)),
    extensions(("x-principals" = json!(CANCEL)))
)]
#[post("/v1/escalations/{escalation_id}/cancel")]
pub(crate) async fn cancel(
    state: Data<State>,
    escalation_id: Path<Id>,
    request: Write<Cancel>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&CANCEL)?;
    let tx = state.db.begin(&caller.actor()?).await?;
    web::write(tx, &caller, key, async |tx| {
        lock_open(tx, **escalation_id).await?;
        let cancelled = escalations::cancel(tx, **escalation_id, &body.reason, state.clock.fixed()).await?;
        state
            .outbox
            .enqueue(tx, vec![changed(escalation::CANCELLED, &cancelled)?]);
        answer(cancelled, &caller)
    })
    .await
}
