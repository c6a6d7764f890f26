//! Pages on their way and how they went, for those who answer for the staff. They name no client.

use actix_web::web::{Data, ThinData};
use actix_web::{HttpResponse, get};
use chrono::{DateTime, Utc};
use common::PrincipalKind;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;
use web::{Allowed, Caller, CursorKey, Page, Paging, Params, Query, ReadQuery, read};

use crate::error::Error;
use crate::state::State;
use crate::store::deliveries::{self, Delivery};

const READ: Allowed = Allowed(&[PrincipalKind::Supervisor, PrincipalKind::Admin]);

const STATUSES: &[&str] = &["pending", "sent", "delivered", "failed", "withdrawn"];
/// Cursors of this list.
const LIST_NAME: &str = "deliveries";

/// A page to one person by one method.
#[derive(Serialize, ToSchema)]
struct DeliveryView {
    delivery_id: Uuid,
    /// What it is about; null where that is an operational warning.
    escalation_id: Option<i64>,
    /// The operational warning that it is about; null where that is an escalation.
    warning_id: Option<i64>,
    staff_id: String,
    /// Why this person: counselor, oncall, or staff who were told by name, by role or by a colleague; operations of a warning.
    relation: String,
    tier: i32,
    /// in_app, email or webhook.
    method: String,
    /// pending, sent, delivered, failed or withdrawn.
    #[schema(example = "delivered")]
    status: String,
    attempts: i32,
    next_attempt_at: Option<DateTime<Utc>>,
    /// Why the last attempt failed.
    error: Option<String>,
    created_at: DateTime<Utc>,
}

impl From<Delivery> for DeliveryView {
    fn from(found: Delivery) -> Self {
        Self {
            delivery_id: found.delivery_id,
            escalation_id: found.escalation_id,
            warning_id: found.warning_id,
            staff_id: found.staff_id,
            relation: found.relation,
            tier: found.tier,
            method: found.method,
            status: found.status,
            attempts: found.attempts,
            next_attempt_at: found.next_attempt_at,
            error: found.error,
            created_at: found.created_at,
        }
    }
}

/// Which deliveries are listed.
struct ListQuery {
    status: Option<&'static str>,
    paging: Paging,
}

impl ReadQuery for ListQuery {
    fn read(params: &mut Params) -> Option<Self> {
        let status = params.optional("status", read::one_of(STATUSES));
        let paging = Paging::read(params);
        Some(Self {
            status: status?,
            paging: paging?,
        })
    }
}

/// Pages, newest first: to a supervisor those about the clients of the own teams, to an admin all, also of operational
/// warnings.
#[utoipa::path(
    tag = "deliveries",
    params(
        ("status" = Option<String>, Query),
        ("limit" = Option<i64>, Query),
        ("cursor" = Option<String>, Query),
    ),
    responses((status = 200, body = Page<DeliveryView>)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/deliveries")]
pub(crate) async fn list(
    state: Data<State>,
    Query(query): Query<ListQuery>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let (at, id): (DateTime<Utc>, Uuid) = cursors
        .open(LIST_NAME, &caller, &query.paging)?
        .unwrap_or((DateTime::<Utc>::MAX_UTC, Uuid::max()));
    let limit = query.paging.limit + 1;
    let rows = state
        .db
        .read(
            &caller.actor()?,
            deliveries::LIST,
            &[&query.status, &at, &id, &limit],
        )
        .await?;
    let items = rows
        .iter()
        .map(|row| Ok(deliveries::from_row(row)?.into()))
        .collect::<Result<Vec<DeliveryView>, db::Error>>()?;
    let page = Page::cut(items, query.paging.limit, |last| {
        cursors.seal(
            LIST_NAME,
            &caller,
            &query.paging,
            &(last.created_at, last.delivery_id),
        )
    });
    let staff: Vec<&str> = page.items.iter().map(|one| one.staff_id.as_str()).collect();
    Ok(caller.disclose(staff, &page).await?)
}
