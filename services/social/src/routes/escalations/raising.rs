//! Escalations that staff raise.

use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use common::{EscalationType, PrincipalKind, Urgency};
use serde_json::json;
use utoipa::ToSchema;
use web::{Allowed, Answer, Fields, Granted, Read, Write, read};

use super::{EscalationView, MAX_NOTES_BYTES, answer};
use crate::domain::escalation::Trigger;
use crate::error::Error;
use crate::ops::raise::raise;
use crate::state::State;
use crate::store::caseload;

const RAISE: Allowed = Allowed(&[PrincipalKind::Counselor, PrincipalKind::Supervisor]);

/// What staff raise an escalation for.
#[derive(ToSchema)]
struct Manual {
    /// The client.
    user_id: String,
    /// low, medium, high or critical.
    #[schema(value_type = String, example = "high")]
    urgency: Urgency,
    /// In words, for who answers; up to 8 KiB.
    reason: String,
}

impl Read for Manual {
    const MAX_BODY_BYTES: usize = 16 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let user_id = fields.required("user_id", read::identifier);
        let urgency = fields.required(
            "urgency",
            read::parsed(|word| word.parse().ok(), "one of low, medium, high, critical"),
        );
        let reason = fields.required("reason", read::words(1..=MAX_NOTES_BYTES));
        Some(Self {
            user_id: user_id?,
            urgency: urgency?,
            reason: reason?,
        })
    }
}

/// Raise an escalation about a client. Where one that staff raised is open already it is joined: 200.
#[utoipa::path(
    tag = "escalations",
    request_body = Manual,
    responses((status = 201, body = EscalationView), (status = 200, description = "Joined", body = EscalationView)),
    extensions(("x-principals" = json!(RAISE)))
)]
#[post("/v1/escalations")]
pub(crate) async fn create(state: Data<State>, request: Write<Manual>) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&RAISE)?;
    let actor = caller.actor()?;
    crate::routes::profiles::must_care_for(&state, &actor, &body.user_id).await?;
    let tx = state.db.begin(&actor).await?;
    web::write(tx, &caller, key, async |tx| {
        let row = tx.query_opt(&caseload::find_sql(), &[&body.user_id]).await?;
        let profile = caseload::profile_from_row(&row.ok_or(Error::NotFound)?)?;
        let trigger = Trigger {
            user_id: body.user_id,
            escalation_type: EscalationType::Manual,
            urgency: body.urgency,
            risk_score: None,
            risk_level: profile.current_risk_label.as_str().to_owned(),
            reason: body.reason,
            data: json!([]),
        };
        let mut raised = raise(tx, &[trigger], state.clock.fixed()).await?;
        state.outbox.enqueue(tx, raised.events);
        let episode = raised.episodes.pop().ok_or(Error::NotFound)?;
        if episode.trigger_count > 1 {
            return answer(episode, &caller);
        }
        let location = format!("/v1/escalations/{}", episode.escalation_id);
        let client = episode.user_id.clone();
        Ok(Answer::created(location, &EscalationView::new(episode, &caller))?.about(client))
    })
    .await
}
