//! What is not as it was with a model version.

use actix_web::web::{Data, ThinData};
use actix_web::{HttpResponse, get};
use chrono::{DateTime, Utc};
use common::PrincipalKind;
use serde::Serialize;
use utoipa::ToSchema;
use web::{Allowed, Caller, CursorKey, NOBODY_ELSE, Newest, Page, Paging, Params, Query, ReadQuery};

use crate::error::Error;
use crate::state::State;
use crate::store::drift_alerts::{self, Alert};

const READ: Allowed = Allowed(&[PrincipalKind::Admin, PrincipalKind::Supervisor]);
/// Cursors of the list.
const LIST_NAME: &str = "drift-alerts";

/// Something about a version that is not as it was.
#[derive(Serialize, ToSchema)]
struct DriftAlertView {
    alert_id: i64,
    model_name: String,
    version: String,
    /// feature_drift, score_drift, calibration, labels_missing, outcomes_missing or silent.
    #[schema(example = "feature_drift")]
    kind: String,
    feature_name: Option<String>,
    /// Stability index, calibration error, labelled share, outcomes told in a month or minutes of silence, when it was last told.
    measure: f64,
    /// What it went past.
    limit: f64,
    opened_at: DateTime<Utc>,
    /// When risk.drift.detected was last written of it.
    told_at: DateTime<Utc>,
    /// Null while it is open.
    closed_at: Option<DateTime<Utc>>,
}

impl From<Alert> for DriftAlertView {
    fn from(found: Alert) -> Self {
        Self {
            alert_id: found.alert_id,
            model_name: found.model_name,
            version: found.model_version,
            kind: found.kind,
            feature_name: found.feature_name,
            measure: found.measure,
            limit: found.limit,
            opened_at: found.opened_at,
            told_at: found.told_at,
            closed_at: found.closed_at,
        }
    }
}

/// Which alerts are listed.
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

/// Drift alerts, newest first; of a version, kind and feature at most one is open. `open=true`: those that are.
#[utoipa::path(
    tag = "metrics",
    params(
        ("open" = Option<bool>, Query),
        ("limit" = Option<i64>, Query),
        ("cursor" = Option<String>, Query),
    ),
    responses((status = 200, body = Page<DriftAlertView>)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/drift-alerts")]
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
    let rows = state.db.worker_query(drift_alerts::LIST, params).await?;
    let items = rows
        .iter()
        .map(|row| Ok(drift_alerts::from_row(row)?.into()))
        .collect::<Result<Vec<DriftAlertView>, db::Error>>()?;
    let page = Page::cut(items, query.paging.limit, |last| {
        let end = Newest(last.opened_at, last.alert_id);
        cursors.seal(LIST_NAME, &caller, &query.paging, &end)
    });
    Ok(caller.disclose(NOBODY_ELSE, &page).await?)
}
