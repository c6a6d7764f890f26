//! Overrides of a schedule: somebody stands in. A supervisor says so for anybody, others for themselves.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path, ThinData};
use actix_web::{HttpResponse, delete, get, post};
use chrono::{DateTime, Utc};
use common::PrincipalKind;
use db::Row;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use web::{Allowed, Answer, Caller, CursorKey, Fields, Granted, Id, Page, Problem, Query, Read, Write, read};

use super::{OfSchedule, READ, Soonest, SpanQuery, is_over, must_be_on_call, read_span, turn};
use crate::domain::duty::StandIn;
use crate::domain::rotation::Duty;
use crate::error::Error;
use crate::state::State;
use crate::store::oncall_overrides::{self, Override};
use crate::store::oncall_schedules;

const WRITE: Allowed = Allowed(&[
    PrincipalKind::Counselor,
    PrincipalKind::Oncall,
    PrincipalKind::Supervisor,
]);
/// May say it for others as well.
const FOR_OTHERS: Allowed = Allowed(&[PrincipalKind::Supervisor]);
/// Cursors of this list.
const LIST_NAME: &str = "oncall-overrides";

/// Somebody stands in.
#[derive(ToSchema)]
struct OverrideBody {
    /// Who: active staff with the role oncall.
    staff_id: String,
    /// For whom, where that person is on duty; by default for the caller.
    replaces_staff_id: Option<String>,
    /// For everybody on duty, and where nobody is; for supervisors.
    #[schema(value_type = Option<bool>)]
    replaces_everybody: bool,
    starts_at: DateTime<Utc>,
    /// At most 28 days after starts_at, and not over.
    ends_at: DateTime<Utc>,
}

impl Read for OverrideBody {
    const MAX_BODY_BYTES: usize = 4 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let staff_id = fields.required("staff_id", read::identifier);
        let replaces_staff_id = fields.optional("replaces_staff_id", read::identifier);
        let replaces_everybody = fields.optional("replaces_everybody", read::boolean);
        let (starts_at, ends_at) = read_span(fields)?;
        let (replaces_staff_id, replaces_everybody) =
            (replaces_staff_id?, replaces_everybody?.unwrap_or(false));
        if replaces_everybody && replaces_staff_id.is_some() {
            fields.fault("replaces_everybody", "leaves nobody for replaces_staff_id");
        }
        Some(Self {
            staff_id: staff_id?,
            replaces_staff_id,
            replaces_everybody,
            starts_at,
            ends_at,
        })
    }
}

impl OverrideBody {
    /// As the caller may say it.
    fn stand_in(self, caller: &Caller) -> Result<StandIn, Error> {
        let own = &caller.principal.id;
        let is_own = !self.replaces_everybody && self.replaces_staff_id.as_ref().is_none_or(|one| one == own);
        if !is_own {
            for_others(caller)?;
        }
        let replaces =
            (!self.replaces_everybody).then(|| self.replaces_staff_id.unwrap_or_else(|| own.clone()));
        if replaces.as_ref() == Some(&self.staff_id) {
            return Err(Problem::invalid_field("/staff_id", "must be another than who is replaced").into());
        }
        Ok(StandIn {
            duty: Duty {
                staff_id: self.staff_id,
                starts_at: self.starts_at,
                ends_at: self.ends_at,
            },
            replaces,
        })
    }
}

/// 403 for whom the own duty alone is to say.
fn for_others(caller: &Caller) -> Result<(), Error> {
    caller
        .allow(&FOR_OTHERS)
        .map_err(|_| Problem::forbidden("A supervisor says who stands in for others.").into())
}

/// Who stands in for whom.
#[derive(Serialize, ToSchema)]
struct OverrideView {
    override_id: i64,
    staff_id: String,
    /// For whom; null: for everybody.
    replaces_staff_id: Option<String>,
    starts_at: DateTime<Utc>,
    ends_at: DateTime<Utc>,
    created_at: DateTime<Utc>,
    created_by: Option<String>,
}

impl From<Override> for OverrideView {
    fn from(found: Override) -> Self {
        let StandIn { duty, replaces } = found.stand_in;
        Self {
            override_id: found.override_id,
            staff_id: duty.staff_id,
            replaces_staff_id: replaces,
            starts_at: duty.starts_at,
            ends_at: duty.ends_at,
            created_at: found.created_at,
            created_by: found.created_by,
        }
    }
}

impl OverrideView {
    fn people(&self) -> impl Iterator<Item = String> {
        [
            Some(&self.staff_id),
            self.replaces_staff_id.as_ref(),
            self.created_by.as_ref(),
        ]
        .into_iter()
        .flatten()
        .cloned()
    }
}

/// The overrides that end after `from`, by default now, and begin before `until`, by time.
#[utoipa::path(
    tag = "on-call",
    params(
        ("schedule_id" = i64, Path),
        ("from" = Option<DateTime<Utc>>, Query),
        ("until" = Option<DateTime<Utc>>, Query),
        ("limit" = Option<i64>, Query),
        ("cursor" = Option<String>, Query),
    ),
    responses((status = 200, body = Page<OverrideView>)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/oncall-schedules/{schedule_id}/overrides")]
pub(crate) async fn list(
    state: Data<State>,
    schedule_id: Path<Id>,
    Query(query): Query<SpanQuery>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let asked = OfSchedule {
        what: LIST_NAME,
        schedule_id: **schedule_id,
        query: &query,
        caller: &caller,
        cursors: &cursors,
    };
    let from_row = |row: &Row| Ok(OverrideView::from(oncall_overrides::from_row(row)?));
    let page = asked
        .page(&state, oncall_overrides::LIST, from_row, |last| {
            Soonest(last.starts_at, last.override_id)
        })
        .await?;
    let people: Vec<String> = page.items.iter().flat_map(OverrideView::people).collect();
    Ok(caller.disclose(people, &page).await?)
}

/// Let somebody stand in. A later override holds over an earlier one; one whose stand-in has left changes nothing.
#[utoipa::path(
    tag = "on-call",
    params(("schedule_id" = i64, Path)),
    request_body = OverrideBody,
    responses((status = 201, body = OverrideView)),
    extensions(("x-principals" = json!(WRITE)))
)]
#[post("/v1/oncall-schedules/{schedule_id}/overrides")]
pub(crate) async fn create(
    state: Data<State>,
    schedule_id: Path<Id>,
    request: Write<OverrideBody>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&WRITE)?;
    let stand_in = body.stand_in(&caller)?;
    let _turn = turn(&state).await?;
    let tx = state.db.begin(&caller.actor()?).await?;
    web::write(tx, &caller, key, async |tx| {
        if !oncall_schedules::exists(tx, **schedule_id).await? {
            return Err(Error::NotFound);
        }
        let mut named = vec![(stand_in.duty.staff_id.as_str(), "/staff_id".to_owned())];
        // The caller, too: who is never on duty would be replaced by nobody, and think that somebody stands in.
        let replaced = stand_in.replaces.as_deref();
        named.extend(replaced.map(|one| (one, "/replaces_staff_id".to_owned())));
        must_be_on_call(tx, &named).await?;
        let now = state.clock.fixed();
        let made = oncall_overrides::insert(tx, **schedule_id, &stand_in, &caller.principal.id, now)
            .await?
            .ok_or_else(is_over)?;
        oncall_schedules::settle(tx, now).await?;
        let view = OverrideView::from(made);
        Ok(Answer::json(StatusCode::CREATED, &view)?.about(view.people()))
    })
    .await
}

/// An override of a schedule.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct OverridePath {
    #[param(value_type = i64)]
    schedule_id: Id,
    #[param(value_type = i64)]
    override_id: Id,
}

/// Take back an override, or end it where it has begun. 404 for one that is over.
#[utoipa::path(
    tag = "on-call",
    params(OverridePath),
    responses((status = 204, description = "Nobody stands in by it any more")),
    extensions(("x-principals" = json!(WRITE)))
)]
#[delete("/v1/oncall-schedules/{schedule_id}/overrides/{override_id}")]
pub(crate) async fn remove(
    state: Data<State>,
    path: Path<OverridePath>,
    request: Write<()>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, key, .. } = request.allow(&WRITE)?;
    let _turn = turn(&state).await?;
    let tx = state.db.begin(&caller.actor()?).await?;
    web::write(tx, &caller, key, async |tx| {
        let now = state.clock.fixed();
        let found = oncall_overrides::find(tx, *path.schedule_id, *path.override_id, now)
            .await?
            .ok_or(Error::NotFound)?;
        if found.replaces.as_ref() != Some(&caller.principal.id) {
            for_others(&caller)?;
        }
        oncall_overrides::end(tx, *path.override_id, now).await?;
        oncall_schedules::settle(tx, now).await?;
        Ok(Answer::no_content().about([found.duty.staff_id]))
    })
    .await
}
