//! Faces of clients who consented to it: kept, listed without their embeddings, looked for, forgotten.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path, ThinData};
use actix_web::{HttpResponse, delete, get, post};
use chrono::{DateTime, Utc};
use common::PrincipalKind;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use web::{
    Allowed, Answer, Caller, Code, CursorKey, Fault, Fields, Granted, Id, Identifier, NOBODY_ELSE, Page,
    Paging, Problem, Query, Read, Value, Write, read,
};

use super::memories;
use crate::domain::direction::Direction;
use crate::domain::face::{DIMENSIONS, FaceSearch, NewFace, PURPOSES};
use crate::error::Error;
use crate::state::State;
use crate::store::face_embeddings::{self, Found, Kept, Stored};

const KEEP: Allowed = Allowed(&[PrincipalKind::App, PrincipalKind::Counselor]);
/// The person may see what is kept and have it forgotten.
const OWN: Allowed = Allowed(&[
    PrincipalKind::Client,
    PrincipalKind::App,
    PrincipalKind::Counselor,
]);
const SEARCH: Allowed = Allowed(&[PrincipalKind::Counselor]);

const MAX_BODY_BYTES: usize = 64 * 1024;
const MAX_MODEL_NAME_BYTES: usize = 100;
const MAX_HASH_BYTES: usize = 128;
const MAX_FOUND: i64 = 100;
const DEFAULT_FOUND: i64 = 10;

/// Whose, and which.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct Place {
    #[param(value_type = String)]
    user_id: Identifier,
    #[param(value_type = i64)]
    face_id: Id,
}

/// A face that is to be kept.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; NewFace is what it is read into")]
struct FaceBody {
    /// What the model made of the face; it is compared by its direction.
    #[schema(min_items = 512, max_items = 512)]
    embedding: Vec<f64>,
    #[schema(max_length = 100, example = "face-512")]
    model_name: String,
    /// The app's hash of the face: the same again is the same face.
    #[schema(max_length = 128)]
    idempotency_hash: String,
    /// The session it comes from.
    source_session_id: Option<String>,
}

impl Read for NewFace {
    const MAX_BODY_BYTES: usize = MAX_BODY_BYTES;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let face = fields.required("embedding", face);
        let model_name = fields.required("model_name", read::text(1..=MAX_MODEL_NAME_BYTES));
        let idempotency_hash = fields.required("idempotency_hash", read::text(1..=MAX_HASH_BYTES));
        let source_session_id = fields.optional("source_session_id", read::identifier);
        Some(Self {
            face: face?,
            model_name: model_name?,
            idempotency_hash: idempotency_hash?,
            source_session_id: source_session_id?,
        })
    }
}

fn face(value: &Value) -> Result<Direction, Fault> {
    let face = memories::direction(value)?;
    face.must_have(DIMENSIONS)?;
    Ok(face)
}

/// A face that is kept.
#[derive(Serialize, ToSchema)]
struct FaceView {
    id: i64,
    model_name: String,
    source_session_id: Option<String>,
    idempotency_hash: String,
    created_at: DateTime<Utc>,
}

impl From<Kept> for FaceView {
    fn from(kept: Kept) -> Self {
        Self {
            id: kept.id,
            model_name: kept.model_name,
            source_session_id: kept.source_session_id,
            idempotency_hash: kept.idempotency_hash,
            created_at: kept.created_at,
        }
    }
}

/// Keep a face, under an active consent to biometrics. The same hash again changes nothing.
#[utoipa::path(
    tag = "faces",
    params(("user_id" = String, Path)),
    request_body = FaceBody,
    responses(
        (status = 201, body = FaceView),
        (status = 200, description = "It is kept already", body = FaceView),
        (status = 403, description = "consent-required: the client does not consent to biometrics"),
        (status = 409, description = "Another face has this hash")
    ),
    extensions(("x-principals" = json!(KEEP)))
)]
#[post("/v1/users/{user_id}/face-embeddings")]
pub(crate) async fn keep(
    state: Data<State>,
    user_id: Path<Identifier>,
    request: Write<NewFace>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&KEEP)?;
    let tx = state.db.begin(&caller.actor_for(&user_id)?).await?;
    web::write(tx, &caller, key, async |tx| {
        let stored = face_embeddings::insert(tx, &user_id, &body).await;
        match stored.map_err(unconsented)? {
            Stored::New(kept) => Ok(Answer::json(StatusCode::CREATED, &FaceView::from(kept))?),
            Stored::Same(kept) => Ok(Answer::ok(&FaceView::from(kept))?),
            Stored::Other => Err(differs().into()),
            Stored::NotSeen => Err(Error::NotFound),
            Stored::UnknownModel => Err(Error::refused("model_name", "is no model of faces")),
        }
    })
    .await
}

fn unconsented(error: db::Error) -> Error {
    if error.constraint() == Some("ck_face_embeddings_consent") {
        let detail = "The client does not consent to biometrics now. Ask the person.";
        Problem::new(Code::ConsentRequired, detail).into()
    } else {
        Error::Db(error)
    }
}

fn differs() -> Problem {
    Problem::conflict(Code::Differs, "Another face of this client has this hash.")
}

/// A client's faces without their embeddings, newest first.
#[utoipa::path(
    tag = "faces",
    params(
        ("user_id" = String, Path),
        ("limit" = Option<i64>, Query),
        ("cursor" = Option<String>, Query)
    ),
    responses((status = 200, body = Page<FaceView>)),
    extensions(("x-principals" = json!(OWN)))
)]
#[get("/v1/users/{user_id}/face-embeddings")]
pub(crate) async fn list(
    state: Data<State>,
    user_id: Path<Identifier>,
    Query(paging): Query<Paging>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&OWN)?;
    let list = format!("faces of {}", *user_id);
    let before: i64 = cursors.open(&list, &caller, &paging)?.unwrap_or(i64::MAX);
    let limit = paging.limit + 1;
    let params: db::Params<'_> = &[&&**user_id, &before, &limit];
    let actor = caller.actor_for(&user_id)?;
    let rows = state.db.read(&actor, face_embeddings::LIST, params).await?;
    let kept = face_embeddings::listed(&rows)?.ok_or(Error::NotFound)?;
    let items = kept.into_iter().map(FaceView::from).collect();
    let page = Page::cut(items, paging.limit, |last: &FaceView| {
        cursors.seal(&list, &caller, &paging, &last.id)
    });
    Ok(caller.disclose(NOBODY_ELSE, &page).await?)
}

/// Forget a face. All of a client's are forgotten when they take their consent back.
#[utoipa::path(
    tag = "faces",
    params(Place),
    responses((status = 204, description = "It is forgotten")),
    extensions(("x-principals" = json!(OWN)))
)]
#[delete("/v1/users/{user_id}/face-embeddings/{face_id}")]
pub(crate) async fn forget(
    state: Data<State>,
    path: Path<Place>,
    request: Write<()>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, key, .. } = request.allow(&OWN)?;
    let tx = state.db.begin(&caller.actor_for(&path.user_id)?).await?;
    web::write(tx, &caller, key, async |tx| {
        if face_embeddings::delete(tx, &path.user_id, *path.face_id).await? {
            Ok(Answer::no_content())
        } else {
            Err(Error::NotFound)
        }
    })
    .await
}

/// A face that is looked for.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; FaceSearch is what it is read into")]
struct FaceSearchBody {
    #[schema(min_items = 512, max_items = 512)]
    embedding: Vec<f64>,
    /// At most so many of the nearest; by default 10.
    #[schema(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// Why: arrival, session or emergency. It stands in the audit.
    #[schema(example = "arrival")]
    purpose: String,
}

impl Read for FaceSearch {
    const MAX_BODY_BYTES: usize = MAX_BODY_BYTES;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let face = fields.required("embedding", face);
        let limit = fields.optional("limit", read::integer(1..=MAX_FOUND));
        let purpose = fields.required("purpose", read::one_of(PURPOSES));
        Some(Self {
            face: face?,
            limit: limit?.unwrap_or(DEFAULT_FOUND),
            purpose: purpose?,
        })
    }
}

/// A client whose face is near.
#[derive(Serialize, ToSchema)]
struct FoundFaceView {
    user_id: String,
    external_id: Option<String>,
    display_name: Option<String>,
    embedding_id: i64,
    /// Cosine distance: 0 for the same direction, up to 2.
    distance: f64,
}

impl From<Found> for FoundFaceView {
    fn from(found: Found) -> Self {
        Self {
            user_id: found.user_id,
            external_id: found.external_id,
            display_name: found.display_name,
            embedding_id: found.embedding_id,
            distance: found.distance,
        }
    }
}

/// The nearest faces, nearest first.
#[derive(Serialize, ToSchema)]
struct FoundBody {
    items: Vec<FoundFaceView>,
}

/// The nearest faces among the caller's clients who consent to biometrics now. Each search is on record with its purpose
/// and whom it found; more than 30 a minute are refused.
#[utoipa::path(
    tag = "faces",
    request_body = FaceSearchBody,
    responses((status = 200, body = FoundBody), (status = 429, description = "Too many searches within a minute")),
    extensions(("x-principals" = json!(SEARCH)))
)]
#[post("/v1/search/face")]
pub(crate) async fn search(state: Data<State>, request: Write<FaceSearch>) -> Result<HttpResponse, Error> {
    nearest(&state, request).await
}

/// As `/v1/search/face`, under the path that seed 003 gave it.
#[utoipa::path(
    tag = "seed paths",
    request_body = FaceSearchBody,
    responses((status = 200, body = FoundBody), (status = 429, description = "Too many searches within a minute")),
    extensions(("x-principals" = json!(SEARCH)))
)]
#[post("/search/face")]
pub(crate) async fn search_as_in_the_seed(
    state: Data<State>,
    request: Write<FaceSearch>,
) -> Result<HttpResponse, Error> {
    nearest(&state, request).await
}

async fn nearest(state: &State, request: Write<FaceSearch>) -> Result<HttpResponse, Error> {
    let Granted { caller, body, .. } = request.allow(&SEARCH)?;
    state.face_searches.charge(&caller)?;
    let params: db::Params<'_> = &[&body.face.as_slice(), &body.limit];
    let actor = caller.actor()?;
    let rows = state.db.read(&actor, face_embeddings::NEAREST, params).await?;
    let found = rows
        .iter()
        .map(face_embeddings::found)
        .collect::<Result<Vec<_>, _>>()?;
    let people: Vec<String> = found.iter().map(|face| face.user_id.clone()).collect();
    let items = found.into_iter().map(FoundFaceView::from).collect();
    Ok(caller
        .disclose_for(body.purpose, people, &FoundBody { items })
        .await?)
}
