//! What checks of single messages found: the one way from a message to staff that asks no profile.

use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, get, post};
use chrono::{DateTime, Utc};
use common::PrincipalKind;
use serde::Serialize;
use utoipa::ToSchema;
use web::{Allowed, Answer, Caller, Fields, Granted, Holder, Id, Query, Read, Write, read};

use super::crisis_resources::ResourceView;
use crate::domain::safety::{Finding, HIGH, LEVELS};
use crate::error::Error;
use crate::ops::flag::flag;
use crate::state::State;
use crate::store::crisis_resources;
use crate::store::safety_events::{self, SafetyEvent};

const FLAG: Allowed = Allowed(&[PrincipalKind::App, PrincipalKind::Pipeline]);
const READ: Allowed = Allowed(&[
    PrincipalKind::Counselor,
    PrincipalKind::Supervisor,
    PrincipalKind::Oncall,
]);

const MAX_LABEL_BYTES: usize = 50;
const MAX_ACTION_BYTES: usize = 100;
const MAX_RATIONALE_BYTES: usize = 8 * 1024;

/// What a check of one message found.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; Finding is what it is read into")]
struct SafetyEventBody {
    /// low, medium or high. High escalates at once.
    #[schema(example = "high")]
    risk_level: String,
    /// Whether the app shows where help is; by default at a high level, where it always does.
    show_crisis_banner: Option<bool>,
    #[schema(max_length = 50, example = "despair")]
    emotion_label: Option<String>,
    /// How sure that is.
    #[schema(minimum = 0, maximum = 1)]
    emotion_score: Option<f64>,
    /// What the app's own policy did.
    #[schema(max_length = 100, example = "reply_replaced")]
    policy_action: Option<String>,
    /// Why, for staff.
    #[schema(max_length = 8192)]
    rationale: Option<String>,
    /// Whether a simpler check stood in for the usual one.
    degraded: Option<bool>,
}

impl Read for Finding {
    const MAX_BODY_BYTES: usize = 64 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let risk_level = fields.required("risk_level", read::one_of(LEVELS));
        let banner = fields.optional("show_crisis_banner", read::boolean);
        let emotion_label = fields.optional("emotion_label", read::text(1..=MAX_LABEL_BYTES));
        let emotion_score = fields.optional("emotion_score", read::probability);
        let policy_action = fields.optional("policy_action", read::text(1..=MAX_ACTION_BYTES));
        let rationale = fields.optional("rationale", read::text(1..=MAX_RATIONALE_BYTES));
        let degraded = fields.optional("degraded", read::boolean);
        let (risk_level, banner) = (risk_level?, banner?);
        if risk_level == HIGH && banner == Some(false) {
            fields.fault("show_crisis_banner", "must be true at a high level");
            return None;
        }
        Some(Self {
            risk_level,
            show_crisis_banner: banner.unwrap_or(risk_level == HIGH),
            emotion_label: emotion_label?,
            emotion_score: emotion_score?,
            policy_action: policy_action?,
            rationale: rationale?,
            degraded: degraded?.unwrap_or(false),
        })
    }
}

/// What was found.
#[derive(Serialize, ToSchema)]
struct SafetyEventView {
    id: i64,
    message_id: i64,
    created_at: DateTime<Utc>,
    risk_level: &'static str,
    show_crisis_banner: bool,
    emotion_label: Option<String>,
    emotion_score: Option<f64>,
    policy_action: Option<String>,
    rationale: Option<String>,
    degraded: bool,
    /// The episode that it opened or joined.
    escalation_id: Option<i64>,
}

impl From<SafetyEvent> for SafetyEventView {
    fn from(found: SafetyEvent) -> Self {
        let finding = found.finding;
        Self {
            id: found.id,
            message_id: found.message_id,
            created_at: found.created_at,
            risk_level: finding.risk_level,
            show_crisis_banner: finding.show_crisis_banner,
            emotion_label: finding.emotion_label,
            emotion_score: finding.emotion_score,
            policy_action: finding.policy_action,
            rationale: finding.rationale,
            degraded: finding.degraded,
            escalation_id: found.escalation_id,
        }
    }
}

/// What was found, and what the app shows the client now.
#[derive(Serialize, ToSchema)]
struct FlaggedBody {
    #[serde(flatten)]
    found: SafetyEventView,
    /// Where help is in the client's region and everywhere; empty without the banner.
    crisis_resources: Vec<ResourceView>,
}

/// Store what a check of a client's message found. A high level opens or joins an escalation at once, whatever the risk
/// profile says. The same again is 200, another finding for the same message 409.
#[utoipa::path(
    tag = "safety",
    request_body = SafetyEventBody,
    responses((status = 201, body = FlaggedBody), (status = 200, description = "It stands already", body = FlaggedBody)),
    extensions(("x-principals" = json!(FLAG)))
)]
#[post("/v1/messages/{message_id}/safety-event")]
pub(crate) async fn create(
    state: Data<State>,
    message_id: Path<Id>,
    request: Write<Finding>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&FLAG)?;
    let tx = if caller.principal.holder == Holder::Pipeline {
        state.db.begin_worker().await?
    } else {
        state.db.begin(&caller.actor()?).await?
    };
    web::write(tx, &caller, key, async |tx| {
        let (event, is_new) = flag(tx, &state.outbox, state.clock.fixed(), **message_id, &body).await?;
        let client = event.user_id.clone();
        let resources = if event.finding.show_crisis_banner {
            crisis_resources::of_client(tx, &client).await?
        } else {
            Vec::new()
        };
        let body = FlaggedBody {
            found: event.into(),
            crisis_resources: resources.into_iter().map(ResourceView::from).collect(),
        };
        let place = format!("/v1/messages/{}/safety-event", **message_id);
        Ok(Answer::stands(is_new, place, &body)?.about([client]))
    })
    .await
}

/// What a check of a message found.
#[utoipa::path(
    tag = "safety",
    responses((status = 200, body = SafetyEventView)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/messages/{message_id}/safety-event")]
pub(crate) async fn find(
    state: Data<State>,
    message_id: Path<Id>,
    _: Query<()>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let rows = state
        .db
        .read(&caller.actor()?, &safety_events::find_sql(), &[&**message_id])
        .await?;
    let found = safety_events::from_row(rows.first().ok_or(Error::NotFound)?)?;
    let client = found.user_id.clone();
    Ok(caller.disclose([client], &SafetyEventView::from(found)).await?)
}
