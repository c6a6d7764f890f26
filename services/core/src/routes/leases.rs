//! Pipelines take messages to score.

use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use chrono::{DateTime, TimeDelta, Utc};
use common::{ConversationType, PrincipalKind};
use serde::Serialize;
use utoipa::ToSchema;
use web::{Allowed, Fields, Granted, Read, Write, read};

use crate::error::Error;
use crate::state::State;
use crate::store::scoring::{self, Leased};

const LEASE: Allowed = Allowed(&[PrincipalKind::Pipeline]);

const MAX_ITEMS: i64 = 1_000;
const MIN_LEASE_SECONDS: i64 = 10;
const MAX_LEASE_SECONDS: i64 = 3_600;
const MAX_MODEL_VERSION_BYTES: usize = 50;

/// What a pipeline asks for.
#[derive(ToSchema)]
struct LeaseBody {
    /// At most so many messages.
    #[schema(minimum = 1, maximum = 1000)]
    limit: i64,
    /// The model that will score them, as its predictions will carry it.
    #[schema(max_length = 50, example = "vader-lexicon-1.0.0")]
    model_version: String,
    /// After so many seconds without a prediction another pipeline may take them.
    #[schema(minimum = 10, maximum = 3600)]
    lease_seconds: i64,
}

impl Read for LeaseBody {
    const MAX_BODY_BYTES: usize = 4 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let limit = fields.required("limit", read::integer(1..=MAX_ITEMS));
        let model_version = fields.required("model_version", read::text(1..=MAX_MODEL_VERSION_BYTES));
        let lease_seconds = fields.required(
            "lease_seconds",
            read::integer(MIN_LEASE_SECONDS..=MAX_LEASE_SECONDS),
        );
        Some(Self {
            limit: limit?,
            model_version: model_version?,
            lease_seconds: lease_seconds?,
        })
    }
}

/// Messages that wait for this pipeline's scores.
#[derive(Serialize, ToSchema)]
struct LeaseAnswer {
    items: Vec<LeasedView>,
    lease_until: DateTime<Utc>,
}

/// A message to score.
#[derive(Serialize, ToSchema)]
struct LeasedView {
    message_id: i64,
    user_id: String,
    message_text: String,
    timestamp: DateTime<Utc>,
    #[schema(value_type = String, example = "buddy")]
    conversation_type: ConversationType,
}

impl From<Leased> for LeasedView {
    fn from(leased: Leased) -> Self {
        Self {
            message_id: leased.message_id,
            user_id: leased.user_id,
            message_text: leased.message_text,
            timestamp: leased.timestamp,
            conversation_type: leased.conversation_type,
        }
    }
}

/// Take messages that this model version has not scored, those whose lease ran out first. Nobody else gets them before
/// `lease_until`. An Idempotency-Key has no effect: no copy of the texts is kept, and a lost answer's lease runs out.
#[utoipa::path(
    tag = "messages",
    request_body = LeaseBody,
    responses((status = 200, body = LeaseAnswer)),
    extensions(("x-principals" = json!(LEASE)))
)]
#[post("/v1/messages:lease")]
pub(crate) async fn lease(state: Data<State>, request: Write<LeaseBody>) -> Result<HttpResponse, Error> {
    let Granted { caller, body, .. } = request.allow(&LEASE)?;
    let tx = state.db.begin_worker().await?;
    let model = scoring::lock_model(&tx, &body.model_version).await?;
    let lease = scoring::Lease {
        model_version: &body.model_version,
        leased_by: &caller.principal.id,
        now: model.now,
        until: model.now + TimeDelta::seconds(body.lease_seconds),
    };
    let mut taken = scoring::take_expired(&tx, &lease, body.limit).await?;
    let room = body.limit.saturating_sub_unsigned(taken.len() as u64);
    if room > 0 {
        taken.extend(scoring::take_new(&tx, &lease, model.scan_from, room).await?);
    }
    scoring::advance(&tx, &body.model_version, model.scan_from).await?;
    let items: Vec<LeasedView> = scoring::read(&tx, &taken)
        .await?
        .into_iter()
        .map(LeasedView::from)
        .collect();
    caller.audited_in(&tx, items.iter().map(|item| item.user_id.clone()).collect());
    tx.commit().await?;
    Ok(HttpResponse::Ok().json(LeaseAnswer {
        items,
        lease_until: lease.until,
    }))
}
