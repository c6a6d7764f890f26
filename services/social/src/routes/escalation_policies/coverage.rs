//! Whom a policy would reach in the next 14 days, and when nobody.

use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, get};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use web::{Caller, Id, NOBODY_ELSE, Query};

use super::MANAGE;
use crate::error::Error;
use crate::state::State;
use crate::store::coverage::{self, Gap};

/// Gaps of one answer; the first ones.
const MAX_GAPS: i64 = 1_000;

/// A time at which somebody is missed.
#[derive(Serialize, ToSchema)]
struct GapView {
    /// The schedule that is empty; null: no tier of the policy reaches anybody.
    schedule_id: Option<i64>,
    starts_at: DateTime<Utc>,
    ends_at: DateTime<Utc>,
}

impl From<Gap> for GapView {
    fn from(found: Gap) -> Self {
        Self {
            schedule_id: found.schedule_id,
            starts_at: found.starts_at,
            ends_at: found.ends_at,
        }
    }
}

/// What the next 14 days hold.
#[derive(Serialize, ToSchema)]
struct CoverageView {
    policy_id: i64,
    /// When it was looked at, once an hour; null: the policy is not active, or was changed within the last minute.
    looked_at: Option<DateTime<Utc>>,
    /// Up to when.
    until: Option<DateTime<Utc>>,
    /// When only the last resort would be told, for some client at least. By time, at most 1,000 with those of schedules.
    gaps: Vec<GapView>,
    /// When a schedule by which the policy pages is empty.
    empty: Vec<GapView>,
}

/// When nobody but the last resort of a policy would be told in the next 14 days, and when its schedules stand empty. Each
/// hour they are looked at anew.
#[utoipa::path(
    tag = "escalation-policies",
    params(("policy_id" = i64, Path)),
    responses((status = 200, body = CoverageView)),
    extensions(("x-principals" = json!(MANAGE)))
)]
#[get("/v1/escalation-policies/{policy_id}/coverage")]
pub(crate) async fn show(
    state: Data<State>,
    policy_id: Path<Id>,
    _: Query<()>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&MANAGE)?;
    let params: db::Params<'_> = &[&**policy_id, &state.clock.fixed(), &MAX_GAPS];
    let rows = state
        .db
        .read(&caller.actor()?, coverage::OF_POLICY, params)
        .await?;
    let first = rows.first().ok_or(Error::NotFound)?;
    let found = rows.iter().map(coverage::gap).collect::<Result<Vec<_>, _>>()?;
    let (gaps, empty) = found
        .into_iter()
        .flatten()
        .map(GapView::from)
        .partition(|gap| gap.schedule_id.is_none());
    let view = CoverageView {
        policy_id: **policy_id,
        looked_at: first.try_get("forecast_at").map_err(db::Error::from)?,
        until: first.try_get("until").map_err(db::Error::from)?,
        gaps,
        empty,
    };
    Ok(caller.disclose(NOBODY_ELSE, &view).await?)
}
