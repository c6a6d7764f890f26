//! Where an escalation goes while it is open: on to the next tier, or to somebody by name.

use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, post};
use common::contracts::escalation;
use utoipa::ToSchema;
use web::{Fields, Granted, Id, Problem, Read, Write, read};

use super::{ANSWER, EscalationView, answer, lock_open};
use crate::error::Error;
use crate::ops::raise::{self, changed};
use crate::state::State;
use crate::store::{escalations, tiers};

/// Tell the next tier now. Whoever had acknowledged the escalation has it no more.
#[utoipa::path(
    tag = "escalations",
    responses((status = 200, body = EscalationView)),
    extensions(("x-principals" = json!(ANSWER)))
)]
#[post("/v1/escalations/{escalation_id}/advance")]
pub(crate) async fn advance(
    state: Data<State>,
    escalation_id: Path<Id>,
    request: Write<()>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, key, .. } = request.allow(&ANSWER)?;
    let tx = state.db.begin(&caller.actor()?).await?;
    web::write(tx, &caller, key, async |tx| {
        lock_open(tx, **escalation_id).await?;
        let moved = raise::advance(tx, &[**escalation_id], state.clock.fixed()).await?;
        state.outbox.enqueue(tx, moved.events);
        let found = escalations::lock(tx, **escalation_id)
            .await?
            .ok_or(Error::NotFound)?;
        answer(found, &caller)
    })
    .await
}

/// Who takes an escalation over.
#[derive(ToSchema)]
struct Reassign {
    /// Active staff with the role counselor, oncall or supervisor.
    staff_id: String,
}

impl Read for Reassign {
    const MAX_BODY_BYTES: usize = 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let staff_id = fields.required("staff_id", read::identifier);
        Some(Self { staff_id: staff_id? })
    }
}

/// Hand an escalation to somebody, who is told of it and must acknowledge it in turn. Unless they do, the next tier is
/// told after the time that an acknowledgement holds.
#[utoipa::path(
    tag = "escalations",
    request_body = Reassign,
    responses((status = 200, body = EscalationView)),
    extensions(("x-principals" = json!(ANSWER)))
)]
#[post("/v1/escalations/{escalation_id}/reassign")]
pub(crate) async fn reassign(
    state: Data<State>,
    escalation_id: Path<Id>,
    request: Write<Reassign>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&ANSWER)?;
    let tx = state.db.begin(&caller.actor()?).await?;
    web::write(tx, &caller, key, async |tx| {
        lock_open(tx, **escalation_id).await?;
        if !tiers::answers(tx, &body.staff_id).await? {
            return Err(Problem::invalid_field(
                "/staff_id",
                "must be active staff with the role counselor, oncall or supervisor",
            )
            .into());
        }
        let handed = tiers::hand_over(tx, **escalation_id, &body.staff_id, state.clock.fixed()).await?;
        state
            .outbox
            .enqueue(tx, vec![changed(escalation::NOTIFIED, &handed)?]);
        answer(handed, &caller)
    })
    .await
}
