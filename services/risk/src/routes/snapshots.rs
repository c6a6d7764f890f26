//! Snapshots of features: what was known of a client at a time.

use actix_web::web::{Data, Path, ThinData};
use actix_web::{HttpResponse, get, post};
use chrono::{DateTime, Utc};
use common::PrincipalKind;
use db::Tx;
use serde::Serialize;
use utoipa::ToSchema;
use web::{
    Allowed, Answer, Caller, CursorKey, Fault, Fields, Granted, Identifier, NOBODY_ELSE, Newest, Page,
    Paging, Problem, Query, Read, Value, Write, read,
};

use super::names::a_name;
use super::of_client::must_care_for;
use crate::domain::feature::FeatureSet;
use crate::domain::snapshot::{Features, NewSnapshot, Snapshot, SnapshotKey};
use crate::error::Error;
use crate::ops::capture::capture;
use crate::ops::known::checked;
use crate::state::State;
use crate::store::feature_snapshots::{self, Stored};
use crate::store::{client_levels, clients, feature_sets};

const CAPTURE: Allowed = Allowed(&[PrincipalKind::Pipeline]);
const READ: Allowed = Allowed(&[PrincipalKind::Counselor, PrincipalKind::Supervisor]);

/// Features of one client, as JSON.
const MAX_FEATURES_BYTES: usize = 128 * 1024;
/// Who captures where the pipeline does not say.
const DEFAULT_SOURCE: &str = "pipeline";

/// Features of a client as of a time. With set, time and source they are the natural key of the snapshot.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; NewSnapshot is what it is read into")]
struct SnapshotBody {
    /// By which declarations.
    #[schema(max_length = 100, example = "engagement-3")]
    feature_set_version: String,
    /// As of when; by default now.
    captured_at: Option<DateTime<Utc>>,
    /// Which extractor made it; by default `pipeline`.
    #[schema(max_length = 100, example = "nightly")]
    source: Option<String>,
    /// Every declared feature by its name.
    #[schema(value_type = Object, example = json!({"messages_7d": 12, "sleep_hours": 6.5}))]
    features: Features,
}

/// A snapshot that names its feature set.
pub(super) struct Named(NewSnapshot);

impl Read for Named {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let version = fields.required("feature_set_version", a_name);
        let snapshot = read_snapshot(fields);
        Some(Self(NewSnapshot {
            feature_set_version: Some(version?),
            ..snapshot?
        }))
    }
}

/// What a snapshot holds besides its feature set.
pub(super) fn read_snapshot(fields: &mut Fields<'_>) -> Option<NewSnapshot> {
    let captured_at = fields.optional("captured_at", read::timestamp);
    let source = fields.optional("source", a_name);
    let features = fields.required("features", features);
    Some(NewSnapshot {
        feature_set_version: None,
        captured_at: captured_at?,
        source: source?.unwrap_or_else(|| DEFAULT_SOURCE.to_owned()),
        features: features?,
    })
}

fn features(value: &Value) -> Result<Features, Fault> {
    let mut object = read::object(MAX_FEATURES_BYTES)(value)?;
    let features = object.as_object_mut().map(std::mem::take);
    features.ok_or_else(|| "must be an object".into())
}

/// A snapshot as it is read.
#[derive(Serialize, ToSchema)]
struct SnapshotView {
    snapshot_id: i64,
    user_id: String,
    feature_set_version: String,
    captured_at: DateTime<Utc>,
    source: String,
    #[schema(value_type = Object)]
    features: Features,
    created_at: DateTime<Utc>,
}

impl From<Stored> for SnapshotView {
    fn from(found: Stored) -> Self {
        Self {
            snapshot_id: found.snapshot_id,
            user_id: found.key.user_id,
            feature_set_version: found.key.feature_set_version,
            captured_at: found.key.captured_at,
            source: found.key.source,
            features: found.features,
            created_at: found.created_at,
        }
    }
}

/// Store what is known of a client. The same again is 200; other features of the same set, time and source 409.
#[utoipa::path(
    tag = "snapshots",
    params(("user_id" = String, Path)),
    request_body = SnapshotBody,
    responses((status = 201, body = SnapshotView), (status = 200, description = "It stands already", body = SnapshotView)),
    extensions(("x-principals" = json!(CAPTURE)))
)]
#[post("/v1/users/{user_id}/feature-snapshots")]
pub(crate) async fn create(
    state: Data<State>,
    user_id: Path<Identifier>,
    request: Write<Named>,
) -> Result<HttpResponse, Error> {
    let Granted {
        caller,
        body: Named(new),
        key,
    } = request.allow(&CAPTURE)?;
    let _at_work = state.singles.acquire().await.map_err(|_| Error::Busy)?;
    let now = state.clock.fixed();
    let tx = state.db.begin_worker().await?;
    web::write(tx, &caller, key, async |tx| {
        client_levels::lock(tx, &[&**user_id], now).await?;
        if !clients::are_cared_for(tx, &user_id).await? {
            return Err(Error::NotFound);
        }
        let snapshot = snapshot(tx, &user_id, &new, now).await?;
        let captured = capture(tx, &[&snapshot], now).await?;
        let captured = captured.into_iter().next().unwrap_or(Err(Error::NotFound))?;
        let stands = feature_snapshots::find(tx, captured.snapshot_id).await?;
        let view = SnapshotView::from(stands.ok_or(Error::NotFound)?);
        let location = format!("/v1/users/{}/feature-snapshots", &**user_id);
        Ok(Answer::stands(captured.is_new, location, &view)?)
    })
    .await
}

/// What was sent, by the set that it names.
async fn snapshot(
    tx: &Tx,
    user_id: &str,
    new: &NewSnapshot,
    now: Option<DateTime<Utc>>,
) -> Result<Snapshot, Error> {
    let version = new.feature_set_version.as_deref().unwrap_or_default();
    let declared = feature_sets::find(tx, version).await?.ok_or_else(|| {
        let detail = "is no declared feature set; post it to /v1/feature-sets first";
        Problem::invalid_field("/feature_set_version", detail)
    })?;
    let set = FeatureSet::new(declared.version, declared.features);
    let features = checked(&set, new.features.clone())?;
    let captured_at = match new.captured_at {
        Some(at) => at,
        None => clients::clock(tx, now).await?,
    };
    let key = SnapshotKey {
        user_id: user_id.to_owned(),
        feature_set_version: set.version,
        captured_at,
        source: new.source.clone(),
    };
    Ok(Snapshot { key, features })
}

/// A client's snapshots, newest first.
#[utoipa::path(
    tag = "snapshots",
    params(
        ("user_id" = String, Path),
        ("limit" = Option<i64>, Query),
        ("cursor" = Option<String>, Query),
    ),
    responses((status = 200, body = Page<SnapshotView>)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/users/{user_id}/feature-snapshots")]
pub(crate) async fn list(
    state: Data<State>,
    user_id: Path<Identifier>,
    Query(paging): Query<Paging>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let actor = caller.actor_for(&user_id)?;
    let name = format!("feature-snapshots of {}", &**user_id);
    let Newest(at, id) = cursors.open(&name, &caller, &paging)?.unwrap_or_default();
    must_care_for(&state, &actor, &user_id).await?;
    let params: db::Params<'_> = &[&&**user_id, &at, &id, &(paging.limit + 1)];
    let rows = state.db.read(&actor, feature_snapshots::LIST, params).await?;
    let found = rows
        .iter()
        .map(feature_snapshots::from_row)
        .collect::<Result<Vec<_>, _>>()?;
    let page = Page::cut(found, paging.limit, |last| {
        let position = Newest(last.key.captured_at, last.snapshot_id);
        cursors.seal(&name, &caller, &paging, &position)
    });
    Ok(caller
        .disclose(NOBODY_ELSE, &page.map(SnapshotView::from))
        .await?)
}
