//! Escalation policies: whom escalations go to, tier after tier.

mod body;
pub(crate) mod coverage;

use actix_web::web::{Data, Path, ThinData};
use actix_web::{HttpResponse, delete, get, post, put};
use chrono::{DateTime, Utc};
use common::{EscalationType, PrincipalKind};
use db::Tx;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use web::{
    Allowed, Answer, Caller, Code, CursorKey, FieldError, Granted, Id, NOBODY_ELSE, Page, Paging, Problem,
    Query, Write,
};

use self::body::PolicyBody;
use crate::error::Error;
use crate::state::State;
use crate::store::escalation_policies::{self, Policy, Said};

const MANAGE: Allowed = Allowed(&[PrincipalKind::Supervisor, PrincipalKind::Admin]);

/// Cursors of this list.
const LIST_NAME: &str = "escalation-policies";

/// A policy as it is read.
#[derive(Serialize, ToSchema)]
struct PolicyView {
    policy_id: i64,
    name: String,
    /// Null: for every type that has no active policy of its own.
    #[schema(value_type = Option<String>, example = "safety")]
    escalation_type: Option<EscalationType>,
    /// How long an acknowledgement holds without contact, where who takes it does not say.
    ack_minutes: i32,
    /// How often all tiers are told again before the last resort is.
    repeats: i32,
    /// How long after the last tier they are told again, or the last resort is.
    repeat_minutes: i32,
    /// oncall or supervisor: everybody with this role.
    last_resort: String,
    active: bool,
    created_at: DateTime<Utc>,
    created_by: Option<String>,
    activated_at: Option<DateTime<Utc>>,
    /// Each with tier, delay_minutes and targets.
    #[schema(value_type = Vec<Object>)]
    tiers: Value,
}

impl From<Policy> for PolicyView {
    fn from(found: Policy) -> Self {
        Self {
            policy_id: found.policy_id,
            name: found.name,
            escalation_type: found.escalation_type,
            ack_minutes: found.ack_minutes,
            repeats: found.repeats,
            repeat_minutes: found.repeat_minutes,
            last_resort: found.last_resort,
            active: found.active,
            created_at: found.created_at,
            created_by: found.created_by,
            activated_at: found.activated_at,
            tiers: found.tiers,
        }
    }
}

impl PolicyView {
    /// The staff whom it names.
    fn people(&self) -> Vec<String> {
        let tiers = self.tiers.as_array().into_iter().flatten();
        let targets = tiers.filter_map(|tier| tier.get("targets")?.as_array()).flatten();
        targets
            .filter_map(|target| target.get("staff_id")?.as_str())
            .chain(self.created_by.as_deref())
            .map(str::to_owned)
            .collect()
    }
}

/// What the database refuses, in words.
fn refused(error: db::Error) -> Error {
    let detail = match error.constraint() {
        Some("uq_escalation_policies_name") => {
            return Problem::conflict(Code::Taken, "Another policy has this name.").into();
        }
        Some("uq_escalation_policies_active") => {
            "Another policy is active for this type. Make this one for it, then activate it."
        }
        Some("ck_escalation_policies_default") => {
            "This is the active policy of every type without one of its own. Activate another such policy first."
        }
        _ => return error.into(),
    };
    Problem::conflict(Code::WrongState, detail).into()
}

/// 422 for a policy that can reach nobody at some step, whoever the client is.
async fn must_reach(tx: &Tx, said: &Said, now: Option<DateTime<Utc>>) -> Result<(), Error> {
    let unreached = escalation_policies::unreached(tx, said, now).await?;
    let places: Vec<(usize, usize)> = said
        .steps()
        .map(|(tier, position, ..)| (tier, position))
        .collect();
    let mut faults: Vec<FieldError> = unreached
        .steps
        .iter()
        .filter_map(|step| places.get(*step))
        .map(|(tier, position)| FieldError {
            pointer: format!("/tiers/{tier}/targets/{position}"),
            detail: format!(
                "reaches nobody: tier {} needs active staff, or a schedule with shifts",
                tier + 1
            ),
        })
        .collect();
    if unreached.last_resort {
        faults.push(FieldError {
            pointer: "/last_resort".to_owned(),
            detail: "reaches nobody: no active staff hold this role".to_owned(),
        });
    }
    if faults.is_empty() {
        Ok(())
    } else {
        Err(Problem::invalid(faults).into())
    }
}

/// 409 for a policy whose people have left since it was saved.
fn no_longer_reached(tiers: &[i32]) -> Problem {
    let names: Vec<String> = tiers
        .iter()
        .map(|tier| match tier {
            0 => "the last resort".to_owned(),
            tier => format!("tier {tier}"),
        })
        .collect();
    let detail = format!(
        "Nobody is reached by now by {}. Change the policy, or give somebody the role or the shift.",
        names.join(", ")
    );
    Problem::conflict(Code::WrongState, detail)
}

/// The policy as it stands in the transaction.
async fn view(tx: &Tx, policy_id: i64) -> Result<PolicyView, Error> {
    let found = escalation_policies::find(tx, policy_id).await?;
    Ok(PolicyView::from(found.ok_or(Error::NotFound)?))
}

/// Make a policy. It is followed once it is activated.
#[utoipa::path(
    tag = "escalation-policies",
    request_body = PolicyBody,
    responses((status = 201, body = PolicyView), (status = 409, description = "The name is taken")),
    extensions(("x-principals" = json!(MANAGE)))
)]
#[post("/v1/escalation-policies")]
pub(crate) async fn create(state: Data<State>, request: Write<Said>) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&MANAGE)?;
    let tx = state.db.begin(&caller.actor()?).await?;
    web::write(tx, &caller, key, async |tx| {
        must_reach(tx, &body, state.clock.fixed()).await?;
        let policy_id = escalation_policies::insert(tx, &body, &caller.principal.id)
            .await
            .map_err(refused)?;
        let view = view(tx, policy_id).await?;
        let location = format!("/v1/escalation-policies/{policy_id}");
        Ok::<_, Error>(Answer::created(location, &view)?.about(view.people()))
    })
    .await
}

/// All policies, oldest first.
#[utoipa::path(
    tag = "escalation-policies",
    params(("limit" = Option<i64>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Page<PolicyView>)),
    extensions(("x-principals" = json!(MANAGE)))
)]
#[get("/v1/escalation-policies")]
pub(crate) async fn list(
    state: Data<State>,
    Query(paging): Query<Paging>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&MANAGE)?;
    let after: i64 = cursors.open(LIST_NAME, &caller, &paging)?.unwrap_or_default();
    let limit = paging.limit + 1;
    let rows = state
        .db
        .read(
            &caller.actor()?,
            &escalation_policies::list_sql(),
            &[&after, &limit],
        )
        .await?;
    let found = rows
        .iter()
        .map(escalation_policies::from_row)
        .collect::<Result<Vec<_>, _>>()?;
    let page = Page::cut(found, paging.limit, |last| {
        cursors.seal(LIST_NAME, &caller, &paging, &last.policy_id)
    });
    let page = page.map(PolicyView::from);
    let people: Vec<String> = page.items.iter().flat_map(PolicyView::people).collect();
    Ok(caller.disclose(people, &page).await?)
}

/// One policy.
#[utoipa::path(
    tag = "escalation-policies",
    params(("policy_id" = i64, Path)),
    responses((status = 200, body = PolicyView)),
    extensions(("x-principals" = json!(MANAGE)))
)]
#[get("/v1/escalation-policies/{policy_id}")]
pub(crate) async fn find(
    state: Data<State>,
    policy_id: Path<Id>,
    _: Query<()>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&MANAGE)?;
    let rows = state
        .db
        .read(
            &caller.actor()?,
            &escalation_policies::find_sql(),
            &[&**policy_id],
        )
        .await?;
    let found = escalation_policies::from_row(rows.first().ok_or(Error::NotFound)?)?;
    let view = PolicyView::from(found);
    Ok(caller.disclose(view.people(), &view).await?)
}

/// Say anew what a policy says. Escalations that follow it go on by what it says now.
#[utoipa::path(
    tag = "escalation-policies",
    params(("policy_id" = i64, Path)),
    request_body = PolicyBody,
    responses((status = 200, body = PolicyView), (status = 409, description = "The name or the type is taken")),
    extensions(("x-principals" = json!(MANAGE)))
)]
#[put("/v1/escalation-policies/{policy_id}")]
pub(crate) async fn replace(
    state: Data<State>,
    policy_id: Path<Id>,
    request: Write<Said>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&MANAGE)?;
    let tx = state.db.begin(&caller.actor()?).await?;
    web::write(tx, &caller, key, async |tx| {
        // Before what it says is looked at: who names no policy learns nothing of staff.
        view(tx, **policy_id).await?;
        must_reach(tx, &body, state.clock.fixed()).await?;
        let is_there = escalation_policies::replace(tx, **policy_id, &body)
            .await
            .map_err(refused)?;
        if !is_there {
            return Err(Error::NotFound);
        }
        let view = view(tx, **policy_id).await?;
        Ok(Answer::ok(&view)?.about(view.people()))
    })
    .await
}

/// Follow this policy from now on for its type; the one that was followed is not active any more. Escalations that are
/// open go on by theirs.
#[utoipa::path(
    tag = "escalation-policies",
    params(("policy_id" = i64, Path)),
    responses((status = 200, body = PolicyView), (status = 409, description = "It reaches nobody by now")),
    extensions(("x-principals" = json!(MANAGE)))
)]
#[post("/v1/escalation-policies/{policy_id}/activate")]
pub(crate) async fn activate(
    state: Data<State>,
    policy_id: Path<Id>,
    request: Write<()>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, key, .. } = request.allow(&MANAGE)?;
    let tx = state.db.begin(&caller.actor()?).await?;
    web::write(tx, &caller, key, async |tx| {
        let unreached = escalation_policies::unreached_by_now(tx, **policy_id, state.clock.fixed()).await?;
        if !unreached.is_empty() {
            return Err(no_longer_reached(&unreached).into());
        }
        let is_there = escalation_policies::activate(tx, **policy_id, state.clock.fixed()).await?;
        if !is_there {
            return Err(Error::NotFound);
        }
        let view = view(tx, **policy_id).await?;
        Ok(Answer::ok(&view)?.about(NOBODY_ELSE))
    })
    .await
}

/// Remove a policy. Escalations that follow it go on by the active one of their type.
#[utoipa::path(
    tag = "escalation-policies",
    params(("policy_id" = i64, Path)),
    responses((status = 204, description = "It is removed"), (status = 409, description = "It is the last one")),
    extensions(("x-principals" = json!(MANAGE)))
)]
#[delete("/v1/escalation-policies/{policy_id}")]
pub(crate) async fn remove(
    state: Data<State>,
    policy_id: Path<Id>,
    request: Write<()>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, key, .. } = request.allow(&MANAGE)?;
    let tx = state.db.begin(&caller.actor()?).await?;
    web::write(tx, &caller, key, async |tx| {
        let is_there = escalation_policies::delete(tx, **policy_id)
            .await
            .map_err(refused)?;
        if is_there {
            Ok(Answer::no_content())
        } else {
            Err(Error::NotFound)
        }
    })
    .await
}
