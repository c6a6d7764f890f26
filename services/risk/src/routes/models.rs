//! Models: their versions, by which thresholds what they say is read, and which of them are listened to.

mod body;

use actix_web::web::{Data, Path, ThinData};
use actix_web::{HttpResponse, get, post};
use common::{ModelStage, PrincipalKind};
use db::Tx;
use web::{Allowed, Answer, Caller, Code, CursorKey, Granted, Page, Paging, Problem, Query, Write};

use self::body::{ModelView, NewModel, NewModelBody, StageBody};
use super::names::{Name, staff};
use crate::domain::stage::may_move;
use crate::error::Error;
use crate::state::State;
use crate::store::feature_sets;
use crate::store::model_versions::{self, Move, Stored, Version};

const REGISTER: Allowed = Allowed(&[PrincipalKind::Pipeline, PrincipalKind::Admin]);
const READ: Allowed = Allowed(&[
    PrincipalKind::Pipeline,
    PrincipalKind::Admin,
    PrincipalKind::Supervisor,
]);
const MOVE: Allowed = Allowed(&[PrincipalKind::Admin]);

/// Cursors of this list.
const LIST_NAME: &str = "models";
const DIFFERS: &str =
    "This version is registered otherwise, and a version is never changed. Register a new one.";
const RETIRED: &str = "The version is retired, for good. Register a new one.";

/// Register a version. It begins as a shadow: it is listened to and measured, and acts on nobody. The same again changes
/// nothing.
#[utoipa::path(
    tag = "models",
    request_body = NewModelBody,
    responses(
        (status = 201, body = ModelView),
        (status = 200, description = "It stood already", body = ModelView),
        (status = 409, description = "The version is registered otherwise")
    ),
    extensions(("x-principals" = json!(REGISTER)))
)]
#[post("/v1/models")]
pub(crate) async fn create(state: Data<State>, request: Write<NewModel>) -> Result<HttpResponse, Error> {
    let Granted {
        caller,
        body: NewModel(new),
        key,
    } = request.allow(&REGISTER)?;
    // As the worker: models are of the programme, and a pipeline is nobody.
    let tx = state.db.begin_worker().await?;
    web::write(tx, &caller, key, async |tx| {
        if feature_sets::find(tx, &new.feature_set_version).await?.is_none() {
            let detail = "is no declared feature set; post it to /v1/feature-sets first";
            return Err(Problem::invalid_field("/feature_set_version", detail).into());
        }
        let is_new = model_versions::insert(tx, &new, &caller.identity(), state.clock.fixed()).await?;
        let stands = one(tx, &new.model_name, &new.version).await?;
        if stands.version != new {
            return Err(Problem::conflict(Code::Differs, DIFFERS).into());
        }
        let location = format!("/v1/models/{}/{}", new.model_name, new.version);
        let people = named(&stands);
        Ok(Answer::stands(is_new, location, &ModelView::from(stands))?.about(people))
    })
    .await
}

/// All versions of all models, by name and version.
#[utoipa::path(
    tag = "models",
    params(("limit" = Option<i64>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Page<ModelView>)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/models")]
pub(crate) async fn list(
    state: Data<State>,
    Query(paging): Query<Paging>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let (name, version): (String, String) = cursors.open(LIST_NAME, &caller, &paging)?.unwrap_or_default();
    let params: db::Params<'_> = &[&name, &version, &(paging.limit + 1)];
    let rows = state.db.worker_query(model_versions::LIST, params).await?;
    let found = rows
        .iter()
        .map(model_versions::from_row)
        .collect::<Result<Vec<Stored>, db::Error>>()?;
    let page = Page::cut(found, paging.limit, |last| {
        let Version {
            model_name, version, ..
        } = &last.version;
        cursors.seal(LIST_NAME, &caller, &paging, &(model_name, version))
    });
    let people: Vec<String> = page.items.iter().flat_map(named).collect();
    Ok(caller.disclose(people, &page.map(ModelView::from)).await?)
}

/// One version.
#[utoipa::path(
    tag = "models",
    params(("model_name" = String, Path), ("version" = String, Path)),
    responses((status = 200, body = ModelView)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/models/{model_name}/{version}")]
pub(crate) async fn find(
    state: Data<State>,
    path: Path<(Name, Name)>,
    _: Query<()>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let (model_name, version) = path.into_inner();
    let params: db::Params<'_> = &[&&*model_name, &&*version];
    let rows = state.db.worker_query(model_versions::FIND, params).await?;
    let found = model_versions::from_row(rows.first().ok_or(Error::NotFound)?)?;
    let people = named(&found);
    Ok(caller.disclose(people, &ModelView::from(found)).await?)
}

/// Put a version into another stage. Of each model one version is live: the one that was becomes a shadow. The levels of
/// their clients are settled anew within the next minutes, which may open escalations. What is retired stays so.
#[utoipa::path(
    tag = "models",
    params(("model_name" = String, Path), ("version" = String, Path)),
    request_body = StageBody,
    responses(
        (status = 200, body = ModelView),
        (status = 409, description = "The version is retired")
    ),
    extensions(("x-principals" = json!(MOVE)))
)]
#[post("/v1/models/{model_name}/{version}/stage")]
pub(crate) async fn put_into(
    state: Data<State>,
    path: Path<(Name, Name)>,
    request: Write<StageBody>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&MOVE)?;
    let (model_name, version) = path.into_inner();
    let (by, now) = (caller.identity(), state.clock.fixed());
    let tx = state.db.begin_worker().await?;
    web::write(tx, &caller, key, async |tx| {
        let live = model_versions::lock(tx, &model_name).await?;
        let stands = one(tx, &model_name, &version).await?;
        if !may_move(stands.stage, body.stage) {
            return Err(Problem::conflict(Code::WrongState, RETIRED).into());
        }
        // The one that was live first: two of them never are.
        let demoted = live
            .filter(|live| body.stage == ModelStage::Live && **live != *version)
            .map(|live| (live, ModelStage::Shadow));
        let moved = (stands.stage != body.stage).then(|| ((*version).to_owned(), body.stage));
        for (version, stage) in demoted.into_iter().chain(moved) {
            let moved = Move {
                model_name: &model_name,
                version: &version,
                stage,
                by: &by,
            };
            model_versions::put_into(tx, &moved, now).await?;
            caller.audited_of(tx, format!("{}/{version}", &*model_name), stage.as_str());
        }
        let stands = one(tx, &model_name, &version).await?;
        let people = named(&stands);
        Ok(Answer::ok(&ModelView::from(stands))?.about(people))
    })
    .await
}

async fn one(tx: &Tx, model_name: &str, version: &str) -> Result<Stored, Error> {
    let found = model_versions::find(tx, model_name, version).await?;
    found.ok_or(Error::NotFound)
}

/// The staff whom an answer names.
fn named(stored: &Stored) -> Vec<String> {
    [&stored.stage_by, &stored.registered_by]
        .into_iter()
        .filter_map(|identity| staff(identity))
        .collect()
}
