//! Feature sets: what models may be told of clients. A version is declared once and never changes.

mod body;

use actix_web::web::{Data, Path, ThinData};
use actix_web::{HttpResponse, get, post};
use chrono::{DateTime, Utc};
use common::PrincipalKind;
use serde::Serialize;
use utoipa::ToSchema;
use web::{Allowed, Answer, Caller, Code, CursorKey, Granted, Page, Paging, Problem, Query, Write};

use self::body::{FeatureBody, NewFeatureSet};
use super::names::{Name, staff};
use crate::error::Error;
use crate::state::State;
use crate::store::feature_sets::{self, Stored};

const DECLARE: Allowed = Allowed(&[PrincipalKind::Pipeline, PrincipalKind::Admin]);
const READ: Allowed = Allowed(&[
    PrincipalKind::Pipeline,
    PrincipalKind::Admin,
    PrincipalKind::Supervisor,
    PrincipalKind::Counselor,
]);

/// Cursors of this list.
const LIST_NAME: &str = "feature-sets";
const DIFFERS: &str = "This version declares other features, and a version is never changed. Post a new one.";

/// Declared features.
#[derive(Serialize, ToSchema)]
struct FeatureSetView {
    version: String,
    description: Option<String>,
    features: Vec<FeatureBody>,
    created_at: DateTime<Utc>,
    /// Such as `pipeline:nightly`.
    created_by: String,
}

impl From<Stored> for FeatureSetView {
    fn from(found: Stored) -> Self {
        Self {
            version: found.version,
            description: found.description,
            features: found.features.into_iter().map(FeatureBody::from).collect(),
            created_at: found.created_at,
            created_by: found.created_by,
        }
    }
}

/// Declare features. The same again changes nothing.
#[utoipa::path(
    tag = "feature-sets",
    request_body = NewFeatureSet,
    responses(
        (status = 201, body = FeatureSetView),
        (status = 200, description = "It stood already", body = FeatureSetView),
        (status = 409, description = "The version declares other features")
    ),
    extensions(("x-principals" = json!(DECLARE)))
)]
#[post("/v1/feature-sets")]
pub(crate) async fn create(state: Data<State>, request: Write<NewFeatureSet>) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&DECLARE)?;
    let created_by = caller.identity();
    let new = feature_sets::New {
        version: &body.version,
        description: body.description.as_deref(),
        features: &body.features,
        created_by: &created_by,
    };
    // As the worker: declarations are of the programme, and a pipeline is nobody.
    let tx = state.db.begin_worker().await?;
    web::write(tx, &caller, key, async |tx| {
        let is_new = feature_sets::insert(tx, &new, state.clock.fixed()).await?;
        let stands = feature_sets::find(tx, &body.version)
            .await?
            .ok_or(Error::NotFound)?;
        if stands.features != body.features || stands.description != body.description {
            return Err(Problem::conflict(Code::Differs, DIFFERS).into());
        }
        let people = staff(&stands.created_by);
        let location = format!("/v1/feature-sets/{}", body.version);
        let answer = Answer::stands(is_new, location, &FeatureSetView::from(stands))?;
        Ok::<_, Error>(answer.about(people))
    })
    .await
}

/// All versions, by name.
#[utoipa::path(
    tag = "feature-sets",
    params(("limit" = Option<i64>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Page<FeatureSetView>)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/feature-sets")]
pub(crate) async fn list(
    state: Data<State>,
    Query(paging): Query<Paging>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let after: String = cursors.open(LIST_NAME, &caller, &paging)?.unwrap_or_default();
    let params: db::Params<'_> = &[&after, &(paging.limit + 1)];
    let rows = state.db.worker_query(feature_sets::LIST, params).await?;
    let found = rows
        .iter()
        .map(|row| Ok(feature_sets::from_row(row)?.into()))
        .collect::<Result<Vec<FeatureSetView>, db::Error>>()?;
    let page = Page::cut(found, paging.limit, |last| {
        cursors.seal(LIST_NAME, &caller, &paging, &last.version)
    });
    let named: Vec<String> = page
        .items
        .iter()
        .filter_map(|view| staff(&view.created_by))
        .collect();
    Ok(caller.disclose(named, &page).await?)
}

/// One version.
#[utoipa::path(
    tag = "feature-sets",
    params(("version" = String, Path)),
    responses((status = 200, body = FeatureSetView)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/feature-sets/{version}")]
pub(crate) async fn find(
    state: Data<State>,
    version: Path<Name>,
    _: Query<()>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let rows = state.db.worker_query(feature_sets::FIND, &[&&**version]).await?;
    let found = feature_sets::from_row(rows.first().ok_or(Error::NotFound)?)?;
    let named = staff(&found.created_by);
    Ok(caller.disclose(named, &FeatureSetView::from(found)).await?)
}
