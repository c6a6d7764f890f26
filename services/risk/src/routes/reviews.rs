//! What counselors think of predictions. It changes neither the prediction nor the level.

use actix_web::web::{Data, Path, ThinData};
use actix_web::{HttpResponse, get, post};
use chrono::{DateTime, Utc};
use common::{ModelRiskLevel, PrincipalKind};
use serde::Serialize;
use utoipa::ToSchema;
use web::{
    Allowed, Answer, Caller, CursorKey, Fields, Granted, Id, Newest, Page, Paging, Query, Read, Write, read,
};

use crate::domain::review::Decision;
use crate::error::Error;
use crate::state::State;
use crate::store::reviews::{self, Review};

const REVIEW: Allowed = Allowed(&[PrincipalKind::Counselor, PrincipalKind::Supervisor]);
const DECISIONS: &[&str] = &["accept", "override"];
const MAX_REASON_BYTES: usize = 8 * 1024;

/// A review.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; Decision is what it is read into")]
struct ReviewBody {
    /// accept or override.
    #[schema(example = "override")]
    decision: String,
    /// LOW, MODERATE, HIGH or VERY_HIGH: the level they would have given. With an override, and only there.
    override_level: Option<String>,
    /// Why, for staff; an override says it.
    #[schema(max_length = 8192)]
    reason: Option<String>,
}

impl Read for Decision {
    const MAX_BODY_BYTES: usize = 16 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let decision = fields.required("decision", read::one_of(DECISIONS));
        let level = fields.optional(
            "override_level",
            read::parsed(
                |word| word.parse::<ModelRiskLevel>().ok(),
                "one of LOW, MODERATE, HIGH, VERY_HIGH",
            ),
        );
        let reason = fields.optional("reason", read::words(1..=MAX_REASON_BYTES));
        let (decision, level, reason) = (decision?, level?, reason?);
        if decision == "accept" {
            if level.is_some() {
                fields.fault("override_level", "is given with an override only");
                return None;
            }
            return Some(Self::Accept(reason));
        }
        if level.is_none() {
            fields.fault("override_level", "is required with an override");
        }
        if reason.is_none() {
            fields.fault("reason", "is required with an override");
        }
        Some(Self::Override(level?, reason?))
    }
}

/// A review as it stands.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReviewView {
    review_id: i64,
    prediction_id: i64,
    /// Who reviewed it; null once that person has left.
    staff_id: Option<String>,
    /// accept or override.
    decision: String,
    /// The level they would have given.
    #[schema(value_type = Option<String>, example = "MODERATE")]
    override_level: Option<ModelRiskLevel>,
    reason: Option<String>,
    reviewed_at: DateTime<Utc>,
}

impl From<Review> for ReviewView {
    fn from(found: Review) -> Self {
        Self {
            review_id: found.review_id,
            prediction_id: found.prediction_id,
            staff_id: found.staff_id,
            decision: found.decision,
            override_level: found.override_level,
            reason: found.reason,
            reviewed_at: found.reviewed_at,
        }
    }
}

/// Say what you think of a prediction: accept it, or override its level and say why. Each review stands beside the others;
/// the prediction and the client's level stay as they are.
#[utoipa::path(
    tag = "predictions",
    request_body = ReviewBody,
    responses((status = 201, body = ReviewView)),
    extensions(("x-principals" = json!(REVIEW)))
)]
#[post("/v1/predictions/{prediction_id}/review")]
pub(crate) async fn create(
    state: Data<State>,
    prediction_id: Path<Id>,
    request: Write<Decision>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&REVIEW)?;
    let tx = state.db.begin(&caller.actor()?).await?;
    web::write(tx, &caller, key, async |tx| {
        let staff_id = &caller.principal.id;
        let made = reviews::insert(tx, **prediction_id, staff_id, &body, state.clock.fixed())
            .await?
            .ok_or(Error::NotFound)?;
        let client = made.user_id.clone();
        let location = format!("/v1/predictions/{}/reviews", **prediction_id);
        Ok::<_, Error>(Answer::created(location, &ReviewView::from(made))?.about([client]))
    })
    .await
}

/// The reviews of a prediction, newest first.
#[utoipa::path(
    tag = "predictions",
    params(("limit" = Option<i64>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Page<ReviewView>)),
    extensions(("x-principals" = json!(REVIEW)))
)]
#[get("/v1/predictions/{prediction_id}/reviews")]
pub(crate) async fn list(
    state: Data<State>,
    prediction_id: Path<Id>,
    Query(paging): Query<Paging>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&REVIEW)?;
    let actor = caller.actor()?;
    let name = format!("reviews/{}", **prediction_id);
    let Newest(at, id) = cursors.open(&name, &caller, &paging)?.unwrap_or_default();
    let whose = state.db.read(&actor, reviews::WHOSE, &[&**prediction_id]).await?;
    let row = whose.first().ok_or(Error::NotFound)?;
    let client: String = row.try_get("user_id").map_err(db::Error::from)?;
    let limit = paging.limit + 1;
    let params: db::Params<'_> = &[&**prediction_id, &at, &id, &limit];
    let rows = state.db.read(&actor, reviews::LIST, params).await?;
    let found = rows
        .iter()
        .map(reviews::from_row)
        .collect::<Result<Vec<_>, _>>()?;
    let page = Page::cut(found, paging.limit, |last| {
        cursors.seal(&name, &caller, &paging, &Newest(last.reviewed_at, last.review_id))
    });
    Ok(caller.disclose([client], &page.map(ReviewView::from)).await?)
}
