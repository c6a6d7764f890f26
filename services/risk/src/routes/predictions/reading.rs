//! What models said of a client, and why, for staff.

use actix_web::web::{Data, Path, ThinData};
use actix_web::{HttpResponse, get};
use chrono::{DateTime, Utc};
use common::{ModelRiskLevel, ModelStage, PrincipalKind};
use db::{Json, Row};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use web::{
    Allowed, Caller, CursorKey, Id, Identifier, NOBODY_ELSE, Newest, Page, Paging, Params, Query, ReadQuery,
};

use crate::domain::feature::FeatureSet;
use crate::domain::snapshot::Features;
use crate::error::Error;
use crate::routes::names::a_name;
use crate::routes::of_client::must_care_for;
use crate::routes::reviews::ReviewView;
use crate::state::State;
use crate::store::explanations::{self, Line};
use crate::store::predictions::{self, Prediction};
use crate::store::{feature_sets, reviews};

const READ: Allowed = Allowed(&[PrincipalKind::Counselor, PrincipalKind::Supervisor]);

/// What a model said of a client.
#[derive(Serialize, ToSchema)]
struct ModelPredictionView {
    prediction_id: i64,
    user_id: String,
    snapshot_id: i64,
    model_name: String,
    model_version: String,
    predicted_at: DateTime<Utc>,
    horizon_days: i16,
    /// Of a relapse or lapse within these days.
    probability: f64,
    /// By the version's thresholds when it came in.
    #[schema(value_type = String, example = "MODERATE")]
    risk_level: ModelRiskLevel,
    /// From where on the version said VERY_HIGH then.
    threshold: f64,
    /// The version's stage when it came in.
    #[schema(value_type = String, example = "live")]
    stage: ModelStage,
    created_at: DateTime<Utc>,
    /// Whether a relapse or lapse came within these days; null while that is open, or nobody can know.
    label: Option<bool>,
    labelled_at: Option<DateTime<Utc>>,
}

impl From<Prediction> for ModelPredictionView {
    fn from(found: Prediction) -> Self {
        Self {
            prediction_id: found.prediction_id,
            user_id: found.user_id,
            snapshot_id: found.snapshot_id,
            model_name: found.model_name,
            model_version: found.model_version,
            predicted_at: found.predicted_at,
            horizon_days: found.horizon_days,
            probability: found.probability,
            risk_level: found.risk_level,
            threshold: found.threshold,
            stage: found.stage,
            created_at: found.created_at,
            label: found.label,
            labelled_at: found.labelled_at,
        }
    }
}

/// Of which model.
struct ListQuery {
    paging: Paging,
    model: Option<String>,
    version: Option<String>,
}

impl ReadQuery for ListQuery {
    fn read(params: &mut Params) -> Option<Self> {
        let paging = Paging::read(params);
        let model = params.optional("model", a_name);
        let version = params.optional("version", a_name);
        Some(Self {
            paging: paging?,
            model: model?,
            version: version?,
        })
    }
}

/// What models said of a client, newest first.
#[utoipa::path(
    tag = "predictions",
    params(
        ("user_id" = String, Path),
        ("model" = Option<String>, Query),
        ("version" = Option<String>, Query),
        ("limit" = Option<i64>, Query),
        ("cursor" = Option<String>, Query),
    ),
    responses((status = 200, body = Page<ModelPredictionView>)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/users/{user_id}/predictions")]
pub(crate) async fn list(
    state: Data<State>,
    user_id: Path<Identifier>,
    Query(query): Query<ListQuery>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let actor = caller.actor_for(&user_id)?;
    let paging = query.paging;
    let name = format!("predictions of {}", &**user_id);
    let Newest(at, id) = cursors.open(&name, &caller, &paging)?.unwrap_or_default();
    must_care_for(&state, &actor, &user_id).await?;
    let limit = paging.limit + 1;
    let params: db::Params<'_> = &[&&**user_id, &at, &id, &limit, &query.model, &query.version];
    let rows = state.db.read(&actor, predictions::LIST, params).await?;
    let found = rows
        .iter()
        .map(predictions::from_row)
        .collect::<Result<Vec<_>, _>>()?;
    let page = Page::cut(found, paging.limit, |last| {
        let position = Newest(last.predicted_at, last.prediction_id);
        cursors.seal(&name, &caller, &paging, &position)
    });
    Ok(caller
        .disclose(NOBODY_ELSE, &page.map(ModelPredictionView::from))
        .await?)
}

/// What a model said of a client, why, and what staff think of it.
#[derive(Serialize, ToSchema)]
struct ExplainedView {
    #[serde(flatten)]
    prediction: ModelPredictionView,
    /// As of when its features hold, and by which declarations.
    captured_at: DateTime<Utc>,
    feature_set_version: String,
    /// As of when the features before are that it is held against; null for the first snapshot of this set.
    before_at: Option<DateTime<Utc>>,
    /// What the pipeline added.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
    /// One of each method.
    explanations: Vec<ExplanationView>,
    /// The latest, newest first.
    reviews: Vec<ReviewView>,
}

/// Why, by one method.
#[derive(Serialize, ToSchema)]
struct ExplanationView {
    /// `shap`, `lime`, `permutation` or `other`.
    method: String,
    base_value: Option<f64>,
    /// `identity`: contributions are probabilities; `logit`: log-odds.
    link: Option<String>,
    /// The greatest first.
    contributions: Vec<ContributionView>,
}

/// One feature's part.
#[derive(Serialize, ToSchema)]
struct ContributionView {
    rank: usize,
    feature: String,
    /// Above zero raises the risk.
    contribution: f64,
    /// Its value then.
    #[schema(value_type = Object)]
    value: Value,
    /// Its value in the snapshot before; null where there is none.
    #[schema(value_type = Option<Object>)]
    value_before: Option<Value>,
    /// How much a number has changed since; null where there is none to compare with.
    change: Option<f64>,
    /// What it means, in plain language; null where the feature set has no words for it.
    text: Option<String>,
}

/// A prediction with its reasons: for each feature its value then, how it has changed since the snapshot before, and what
/// that means in plain language.
#[utoipa::path(
    tag = "predictions",
    params(("prediction_id" = i64, Path)),
    responses((status = 200, body = ExplainedView)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/predictions/{prediction_id}")]
pub(crate) async fn find(
    state: Data<State>,
    prediction_id: Path<Id>,
    _: Query<()>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let actor = caller.actor()?;
    let id: i64 = **prediction_id;
    let found = state.db.read(&actor, predictions::FIND, &[&id]).await?;
    let row = found.first().ok_or(Error::NotFound)?;
    let rows = state.db.read(&actor, explanations::OF_PREDICTION, &[&id]).await?;
    let lines = rows
        .iter()
        .map(explanations::from_row)
        .collect::<Result<Vec<_>, _>>()?;
    let reviews = reviews::of_prediction(&state.db, &actor, id).await?;
    let named: Vec<String> = reviews
        .iter()
        .filter_map(|review| review.staff_id.clone())
        .collect();
    let view = explained(row, lines, reviews.into_iter().map(Into::into).collect())?;
    let people = named.into_iter().chain([view.prediction.user_id.clone()]);
    Ok(caller.disclose(people.collect::<Vec<_>>(), &view).await?)
}

fn explained(row: &Row, lines: Vec<Line>, reviews: Vec<ReviewView>) -> Result<ExplainedView, db::Error> {
    let set = feature_sets::set_from_row(row)?;
    let before: Option<Json<Features>> = row.try_get("features_before")?;
    let before = before.map(|Json(features)| features);
    let mut explanations: Vec<ExplanationView> = Vec::new();
    for line in lines {
        let is_next = explanations
            .last()
            .is_none_or(|explanation| explanation.method != line.method);
        if is_next {
            explanations.push(ExplanationView {
                method: line.method.clone(),
                base_value: line.base_value,
                link: line.link.clone(),
                contributions: Vec::new(),
            });
        }
        if let Some(explanation) = explanations.last_mut() {
            let rank = explanation.contributions.len() + 1;
            explanation
                .contributions
                .push(contribution(rank, line, &set, before.as_ref()));
        }
    }
    Ok(ExplainedView {
        prediction: predictions::from_row(row)?.into(),
        captured_at: row.try_get("captured_at")?,
        feature_set_version: row.try_get("feature_set_version")?,
        before_at: row.try_get("before_at")?,
        metadata: row.try_get("metadata")?,
        explanations,
        reviews,
    })
}

fn contribution(rank: usize, line: Line, set: &FeatureSet, before: Option<&Features>) -> ContributionView {
    let value_before = before.and_then(|features| features.get(&line.feature)).cloned();
    let number_before = value_before.as_ref().and_then(Value::as_f64);
    let feature = set.get(&line.feature);
    let text = feature.and_then(|feature| feature.texts.of(line.contribution));
    ContributionView {
        rank,
        contribution: line.contribution,
        change: line
            .value
            .as_f64()
            .zip(number_before)
            .map(|(now, before)| now - before),
        text: text.map(str::to_owned),
        value_before,
        value: line.value,
        feature: line.feature,
    }
}
