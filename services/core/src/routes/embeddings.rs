//! Embeddings of memories: computed elsewhere, by pipelines that lease what waits, or by the app.

use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, get, post, put};
use chrono::{DateTime, Utc};
use common::PrincipalKind;
use db::Tx;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use web::{Allowed, Answer, Caller, Fields, Granted, Holder, NOBODY_ELSE, Query, Read, Write, read};

use super::memories;
use crate::domain::direction::Direction;
use crate::domain::embedding::Model;
use crate::domain::memory::NewEmbedding;
use crate::error::Error;
use crate::ops::remember;
use crate::state::State;
use crate::store::memory_embeddings::{self, Lease, Leased, Of};
use crate::store::{embedding_models, memories as stored};

const LIST: Allowed = Allowed(&[
    PrincipalKind::Client,
    PrincipalKind::App,
    PrincipalKind::Counselor,
    PrincipalKind::Supervisor,
    PrincipalKind::Admin,
    PrincipalKind::Pipeline,
]);
const LEASE: Allowed = Allowed(&[PrincipalKind::Pipeline]);
const EMBED: Allowed = Allowed(&[PrincipalKind::Client, PrincipalKind::App, PrincipalKind::Pipeline]);

const MAX_ITEMS: i64 = 1_000;
const MIN_LEASE_SECONDS: u32 = 10;
const MAX_LEASE_SECONDS: u32 = 3_600;

/// The models whose embeddings are taken.
#[derive(Serialize, ToSchema)]
struct ModelList {
    items: Vec<ModelView>,
}

/// A model.
#[derive(Serialize, ToSchema)]
struct ModelView {
    name: String,
    /// How many numbers its embeddings have.
    dimensions: usize,
    /// text or face.
    purpose: String,
    /// Whether its embeddings are still taken and leased.
    active: bool,
}

impl From<Model> for ModelView {
    fn from(model: Model) -> Self {
        Self {
            name: model.name,
            dimensions: model.dimensions,
            purpose: model.purpose,
            active: model.active,
        }
    }
}

/// The models whose embeddings are taken, by name.
#[utoipa::path(
    tag = "memories",
    responses((status = 200, body = ModelList)),
    extensions(("x-principals" = json!(LIST)))
)]
#[get("/v1/embedding-models")]
pub(crate) async fn models(state: Data<State>, _: Query<()>, caller: Caller) -> Result<HttpResponse, Error> {
    caller.allow(&LIST)?;
    let found = embedding_models::all(&state.db).await?;
    let items = found.into_iter().map(ModelView::from).collect();
    Ok(caller.disclose(NOBODY_ELSE, &ModelList { items }).await?)
}

/// What a pipeline asks for.
#[derive(ToSchema)]
struct MemoryLeaseBody {
    /// The model that will make the embeddings.
    #[schema(example = "text-1536")]
    model: String,
    /// At most so many memories.
    #[schema(minimum = 1, maximum = 1000)]
    limit: i64,
    /// After so many seconds without an embedding another pipeline may take them.
    #[schema(minimum = 10, maximum = 3600)]
    lease_seconds: u32,
}

impl Read for MemoryLeaseBody {
    const MAX_BODY_BYTES: usize = 4 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let model = fields.required("model", memories::model);
        let limit = fields.required("limit", read::integer(1..=MAX_ITEMS));
        let lease_seconds = fields.required(
            "lease_seconds",
            read::integer(MIN_LEASE_SECONDS..=MAX_LEASE_SECONDS),
        );
        Some(Self {
            model: model?,
            limit: limit?,
            lease_seconds: lease_seconds?,
        })
    }
}

/// Memories that wait for this pipeline's embeddings.
#[derive(Serialize, ToSchema)]
struct MemoryLeaseAnswer {
    items: Vec<LeasedMemoryView>,
    /// Null where nothing waited.
    lease_until: Option<DateTime<Utc>>,
}

/// A memory to embed.
#[derive(Serialize, ToSchema)]
struct LeasedMemoryView {
    id: Uuid,
    content: String,
}

impl From<Leased> for LeasedMemoryView {
    fn from(leased: Leased) -> Self {
        Self {
            id: leased.id,
            content: leased.content,
        }
    }
}

/// Take memories that hold and have no embedding of this model, those that waited longest first, of clients whose consent
/// stands. Nobody else gets them before `lease_until`. An Idempotency-Key has no effect: no copy of the texts is kept, and
/// a lost answer's lease runs out.
#[utoipa::path(
    tag = "memories",
    request_body = MemoryLeaseBody,
    responses((status = 200, body = MemoryLeaseAnswer)),
    extensions(("x-principals" = json!(LEASE)))
)]
#[post("/v1/memories:lease")]
pub(crate) async fn lease(
    state: Data<State>,
    request: Write<MemoryLeaseBody>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, .. } = request.allow(&LEASE)?;
    remember::model(&state.models, &state.db, &body.model, "model").await?;
    let tx = state.db.begin_worker().await?;
    let lease = Lease {
        model: &body.model,
        leased_by: &caller.principal.id,
        seconds: body.lease_seconds,
    };
    let taken = memory_embeddings::lease(&tx, lease, body.limit).await?;
    caller.audited_in(&tx, taken.iter().map(|leased| leased.user_id.clone()).collect());
    tx.commit().await?;
    Ok(HttpResponse::Ok().json(MemoryLeaseAnswer {
        lease_until: taken.first().map(|leased| leased.lease_until),
        items: taken.into_iter().map(LeasedMemoryView::from).collect(),
    }))
}

/// Of which memory, by which model.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct Place {
    memory_id: Uuid,
    model: String,
}

/// An embedding.
#[derive(ToSchema)]
struct OneEmbeddingBody {
    /// As many numbers as the model has dimensions.
    #[schema(value_type = Vec<f32>)]
    embedding: Direction,
}

impl Read for OneEmbeddingBody {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let embedding = fields.required("embedding", memories::direction);
        Some(Self {
            embedding: embedding?,
        })
    }
}

/// Store the embedding of a memory that holds, in place of one before. Pipelines store those of memories that are leased to
/// them.
#[utoipa::path(
    tag = "memories",
    params(Place),
    request_body = OneEmbeddingBody,
    responses(
        (status = 204, description = "It is stored"),
        (status = 403, description = "consent-required: the client's consent to be remembered is over")
    ),
    extensions(("x-principals" = json!(EMBED)))
)]
#[put("/v1/memories/{memory_id}/embeddings/{model}")]
pub(crate) async fn put(
    state: Data<State>,
    path: Path<Place>,
    request: Write<OneEmbeddingBody>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&EMBED)?;
    let model = remember::model(&state.models, &state.db, &path.model, "model").await?;
    let fits = body.embedding.must_have(model.dimensions);
    fits.map_err(|detail| Error::refused("embedding", detail))?;
    let is_pipeline = caller.principal.holder == Holder::Pipeline;
    let tx = if is_pipeline {
        state.db.begin_worker().await?
    } else {
        state.db.begin(&caller.actor()?).await?
    };
    web::write(tx, &caller, key, async |tx| {
        let leased_by = is_pipeline.then_some(&*caller.principal.id);
        let owner = stored::owner(tx, path.memory_id).await?.ok_or(Error::NotFound)?;
        // Asked for first, told last: who holds no lease does not learn what the client consents to.
        let consented = remember::hold_consent(tx, &owner).await;
        if !held(tx, &path, leased_by).await? {
            return Err(Error::NotFound);
        }
        consented?;
        let of = Of {
            memory_id: path.memory_id,
            user_id: &owner,
        };
        let new = NewEmbedding {
            model: model.name,
            embedding: body.embedding,
        };
        if memory_embeddings::put(tx, of, &[new]).await? == 0 {
            return Err(Error::refused("model", "is not active"));
        }
        Ok(Answer::no_content().about([owner]))
    })
    .await
}

/// Holds a memory as it stands: whether it holds, and is leased to whoever must have leased it. The consent is held: a
/// revocation takes it first, and the leases after it.
async fn held(tx: &Tx, path: &Place, leased_by: Option<&str>) -> Result<bool, Error> {
    let holds = stored::hold(tx, path.memory_id).await?.is_some();
    Ok(match leased_by {
        Some(pipeline) if holds => {
            memory_embeddings::is_leased(tx, path.memory_id, &path.model, pipeline).await?
        }
        Some(_) | None => holds,
    })
}
