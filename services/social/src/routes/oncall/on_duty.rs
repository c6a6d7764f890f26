//! Who is on duty on a schedule, now or at a time.

use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, get};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use web::{Caller, Id, Params, Query, ReadQuery, read};

use super::READ;
use crate::error::Error;
use crate::state::State;
use crate::store::oncall_schedules;

/// Somebody on duty.
#[derive(Serialize, ToSchema)]
struct OnDuty {
    staff_id: String,
    display_name: Option<String>,
}

/// Who is on duty at a moment.
#[derive(Serialize, ToSchema)]
struct NowView {
    at: DateTime<Utc>,
    /// Nobody is a gap.
    on_duty: Vec<OnDuty>,
}

/// The moment asked about.
struct AtQuery(Option<DateTime<Utc>>);

impl ReadQuery for AtQuery {
    fn read(params: &mut Params) -> Option<Self> {
        params.optional("at", read::moment).map(Self)
    }
}

/// Who is on duty now, or at a time, with everybody who stands in. Staff who were suspended or are on call no more are left
/// out.
#[utoipa::path(
    tag = "on-call",
    params(("schedule_id" = i64, Path), ("at" = Option<DateTime<Utc>>, Query)),
    responses((status = 200, body = NowView)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/oncall-schedules/{schedule_id}/now")]
pub(crate) async fn show(
    state: Data<State>,
    schedule_id: Path<Id>,
    Query(AtQuery(at)): Query<AtQuery>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    // As the worker: of other staff a person sees no row in core.
    let rows = state
        .db
        .worker_query(
            oncall_schedules::ON_DUTY,
            &[&**schedule_id, &at, &state.clock.fixed()],
        )
        .await?;
    let at = rows
        .first()
        .ok_or(Error::NotFound)?
        .try_get("at")
        .map_err(db::Error::from)?;
    let mut on_duty = Vec::new();
    for row in &rows {
        let staff_id: Option<String> = row.try_get("staff_id").map_err(db::Error::from)?;
        let display_name = row.try_get("display_name").map_err(db::Error::from)?;
        on_duty.extend(staff_id.map(|staff_id| OnDuty {
            staff_id,
            display_name,
        }));
    }
    let people: Vec<String> = on_duty.iter().map(|one| one.staff_id.clone()).collect();
    Ok(caller.disclose(people, &NowView { at, on_duty }).await?)
}
