//! What does not work as it should, for those who can see to it.

use actix_web::web::{Data, ThinData};
use actix_web::{HttpResponse, get};
use chrono::{DateTime, Utc};
use common::PrincipalKind;
use serde::Serialize;
use utoipa::ToSchema;
use web::{Allowed, Caller, CursorKey, NOBODY_ELSE, Newest, Page, Paging, Params, Query, ReadQuery};

use crate::error::Error;
use crate::state::State;
use crate::store::operational_warnings::{self, Warning};

const READ: Allowed = Allowed(&[PrincipalKind::Supervisor, PrincipalKind::Admin]);
/// Cursors of the list.
const LIST_NAME: &str = "operational-warnings";

/// Something that does not work as it should.
#[derive(Serialize, ToSchema)]
struct WarningView {
    warning_id: i64,
    /// pipeline_silent, staff_unreachable, outbox_lag, delivery_lag, drill_failed or coverage_gap.
    #[schema(example = "pipeline_silent")]
    kind: String,
    /// How bad it was when it was last seen: minutes that something waits or that nobody
    /// covers, or people of whom it is so.
    measure: i64,
    opened_at: DateTime<Utc>,
    /// When it was last seen to have changed.
    last_seen_at: DateTime<Utc>,
    /// Null while it is open.
    closed_at: Option<DateTime<Utc>>,
}

impl From<Warning> for WarningView {
    fn from(found: Warning) -> Self {
        Self {
            warning_id: found.warning_id,
            kind: found.kind,
            measure: found.measure,
            opened_at: found.opened_at,
            last_seen_at: found.last_seen_at,
            closed_at: found.closed_at,
        }
    }
}

/// Which warnings are listed.
struct ListQuery {
    is_open: bool,
    paging: Paging,
}

impl ReadQuery for ListQuery {
    fn read(params: &mut Params) -> Option<Self> {
        let is_open = params.flag("open");
        let paging = Paging::read(params);
        Some(Self {
            is_open: is_open?,
            paging: paging?,
        })
    }
}

/// Operational warnings, newest first; at most one of a kind is open. `open=true`: those that are.
#[utoipa::path(
    tag = "operations",
    params(
        ("open" = Option<bool>, Query),
        ("limit" = Option<i64>, Query),
        ("cursor" = Option<String>, Query),
    ),
    responses((status = 200, body = Page<WarningView>)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/operational-warnings")]
pub(crate) async fn list(
    state: Data<State>,
    Query(query): Query<ListQuery>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let Newest(at, id) = cursors
        .open(LIST_NAME, &caller, &query.paging)?
        .unwrap_or_default();
    let limit = query.paging.limit + 1;
    let params: db::Params<'_> = &[&query.is_open, &at, &id, &limit];
    let rows = state
        .db
        .read(&caller.actor()?, operational_warnings::LIST, params)
        .await?;
    let items = rows
        .iter()
        .map(|row| Ok(operational_warnings::from_row(row)?.into()))
        .collect::<Result<Vec<WarningView>, db::Error>>()?;
    let page = Page::cut(items, query.paging.limit, |last| {
        let end = Newest(last.opened_at, last.warning_id);
        cursors.seal(LIST_NAME, &caller, &query.paging, &end)
    });
    Ok(caller.disclose(NOBODY_ELSE, &page).await?)
}
