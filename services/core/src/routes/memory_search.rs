//! Finding memories by meaning and by words.

use std::collections::BTreeSet;

use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use chrono::{DateTime, Utc};
use db::{Actor, ToSql, Vector};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;
use web::{Caller, Fields, Granted, Holder, Params, Query, Read, ReadQuery, Write, read};

use super::memories::{self, MemoryView, sees_sensitive};
use super::preferences::READ;
use crate::domain::direction::Direction;
use crate::domain::embedding::Model;
use crate::domain::memory::MEMORY_TYPES;
use crate::error::Error;
use crate::models::DEFAULT_MODEL;
use crate::ops::remember;
use crate::state::State;
use crate::store::memory_embeddings::vector;
use crate::store::memory_search::{self, Found, Search};

const MAX_QUERY_BYTES: usize = 1_000;
const MAX_ITEMS: i64 = 100;
const DEFAULT_ITEMS: i64 = 10;

/// What is looked for; at least one of embedding and query.
#[derive(ToSchema)]
struct SearchBody {
    /// What is meant, by the model.
    #[schema(value_type = Option<Vec<f32>>)]
    embedding: Option<Direction>,
    /// Words, as in a web search; with an embedding both rankings are put together.
    #[schema(max_length = 1000, example = "sober -alcohol \"by the river\"")]
    query: Option<String>,
    /// Whose memories; by default one's own, those of the client whom the app acts for, or those of the whole caseload.
    user_id: Option<String>,
    /// Only of this role of the companion, or of all.
    role: Option<String>,
    /// personal, project or task.
    #[schema(value_type = Option<String>)]
    memory_type: Option<&'static str>,
    /// Only those in this collection.
    collection_id: Option<Uuid>,
    /// Only those that hold since this time or later.
    from: Option<DateTime<Utc>>,
    /// Only those that hold since before this time.
    until: Option<DateTime<Utc>>,
    /// By default text-1536.
    model: Option<String>,
    /// By default 10.
    #[schema(minimum = 1, maximum = 100)]
    limit: Option<i64>,
}

impl Read for SearchBody {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let embedding = fields.optional("embedding", memories::direction);
        let query = fields.optional("query", read::text(1..=MAX_QUERY_BYTES));
        let user_id = fields.optional("user_id", read::identifier);
        let role = fields.optional("role", read::identifier);
        let memory_type = fields.optional("memory_type", read::one_of(MEMORY_TYPES));
        let collection_id = fields.optional("collection_id", read::uuid);
        let from = fields.optional("from", read::moment);
        let until = fields.optional("until", read::moment);
        let model = fields.optional("model", memories::model);
        let limit = fields.optional("limit", read::integer(1..=MAX_ITEMS));
        let (embedding, query) = (embedding?, query?);
        if embedding.is_none() && query.is_none() {
            fields.fault("embedding", "or query is required");
            return None;
        }
        Some(Self {
            embedding,
            query,
            user_id: user_id?,
            role: role?,
            memory_type: memory_type?,
            collection_id: collection_id?,
            from: from?,
            until: until?,
            model: model?,
            limit: limit?,
        })
    }
}

/// Another name for the body's `user_id`.
struct OfCustomer(Option<String>);

impl ReadQuery for OfCustomer {
    fn read(params: &mut Params) -> Option<Self> {
        params.optional("customer_id", read::identifier).map(Self)
    }
}

/// What was found, best first.
#[derive(Serialize, ToSchema)]
struct SearchAnswer {
    items: Vec<FoundView>,
}

/// A memory, and why it was found.
#[derive(Serialize, ToSchema)]
struct FoundView {
    #[serde(flatten)]
    memory: MemoryView,
    /// Cosine distance to the embedding, 0 to 2; null where it was found by its words alone.
    distance: Option<f64>,
    /// Its place among the nearest.
    vector_rank: Option<i64>,
    /// Its place among those with the words.
    text_rank: Option<i64>,
    /// 1 / (60 + rank), summed over both: what the list is ordered by.
    score: f64,
}

impl From<Found> for FoundView {
    fn from(found: Found) -> Self {
        Self {
            memory: found.memory.into(),
            distance: found.distance,
            vector_rank: found.vector_rank,
            text_rank: found.text_rank,
            score: found.score,
        }
    }
}

/// Find memories that hold, of clients who consented to be remembered: as many as asked for, where there are as many.
/// Staff find no sensitive ones. Of a whole caseload, clients without a consent are left out. An Idempotency-Key has no
/// effect.
#[utoipa::path(
    tag = "memories",
    params(("customer_id" = Option<String>, Query, description = "As user_id in the body")),
    request_body = SearchBody,
    responses(
        (status = 200, body = SearchAnswer),
        (status = 403, description = "consent-required: the client who is named has not consented to be remembered")
    ),
    extensions(("x-principals" = json!(READ)))
)]
#[post("/v1/search/memory")]
pub(crate) async fn search(
    state: Data<State>,
    Query(customer): Query<OfCustomer>,
    request: Write<SearchBody>,
) -> Result<HttpResponse, Error> {
    find(&state, customer, request).await
}

/// As `/v1/search/memory`, under the path that seed 003 gave it.
#[utoipa::path(
    tag = "seed paths",
    params(("customer_id" = Option<String>, Query, description = "As user_id in the body")),
    request_body = SearchBody,
    responses(
        (status = 200, body = SearchAnswer),
        (status = 403, description = "consent-required: the client who is named has not consented to be remembered")
    ),
    extensions(("x-principals" = json!(READ)))
)]
#[post("/search/memory")]
pub(crate) async fn search_as_in_the_seed(
    state: Data<State>,
    Query(customer): Query<OfCustomer>,
    request: Write<SearchBody>,
) -> Result<HttpResponse, Error> {
    find(&state, customer, request).await
}

async fn find(
    state: &State,
    customer: OfCustomer,
    request: Write<SearchBody>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, .. } = request.allow(&READ)?;
    let (client, actor) = whose(&caller, &body, customer)?;
    let model = model(state, &body).await?;
    let asked = Search {
        names_client: client.is_some(),
        model: model.as_ref(),
        has_words: body.query.is_some(),
        limit: body.limit.unwrap_or(DEFAULT_ITEMS),
        config: &state.search,
    };
    let params = Asked::new(&body, asked.limit, &caller);
    let rows = state
        .db
        .read(&actor, &asked.sql(), &params.in_order(client.as_ref()))
        .await?;
    let found = remember::must_be_shown(memory_search::outcome(&rows)?)?;
    state.touched.note(found.iter().map(|found| found.memory.id));
    let people: BTreeSet<String> = found.iter().map(|found| found.memory.user_id.clone()).collect();
    let people: BTreeSet<String> = people.into_iter().chain(client).collect();
    let items = found.into_iter().map(FoundView::from).collect();
    Ok(caller.disclose(people, &SearchAnswer { items }).await?)
}

/// The client who is named, if one is, and who looks.
fn whose(
    caller: &Caller,
    body: &SearchBody,
    OfCustomer(customer): OfCustomer,
) -> Result<(Option<String>, Actor), Error> {
    let named = match (&body.user_id, customer) {
        (Some(user_id), Some(customer)) if *user_id != customer => {
            return Err(Error::refused(
                "user_id",
                "must be the customer_id of the address",
            ));
        }
        (user_id, customer) => user_id.clone().or(customer),
    };
    let client = match caller.principal.holder {
        Holder::Client => named.or_else(|| Some(caller.principal.id.clone())),
        Holder::App | Holder::Pipeline | Holder::Service => named.or_else(|| caller.on_behalf_of.clone()),
        Holder::Staff => named,
    };
    let actor = match &client {
        Some(client) => caller.actor_for(client)?,
        None => caller.actor()?,
    };
    Ok((client, actor))
}

/// The model of the embedding, where there is one.
async fn model(state: &State, body: &SearchBody) -> Result<Option<Model>, Error> {
    let name = body.model.as_deref();
    let Some(embedding) = &body.embedding else {
        return match name {
            Some(_) => Err(Error::refused("model", "must be left out without an embedding")),
            None => Ok(None),
        };
    };
    let name = name.unwrap_or(DEFAULT_MODEL);
    let model = remember::model(&state.models, &state.db, name, "model").await?;
    let fits = embedding.must_have(model.dimensions);
    fits.map_err(|detail| Error::refused("embedding", detail))?;
    Ok(Some(model))
}

/// The parameters of a search.
struct Asked<'a> {
    body: &'a SearchBody,
    limit: i64,
    sees_sensitive: bool,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    vector: Option<Vector>,
}

impl<'a> Asked<'a> {
    fn new(body: &'a SearchBody, limit: i64, caller: &Caller) -> Self {
        Self {
            body,
            limit,
            sees_sensitive: sees_sensitive(caller),
            from: body.from.unwrap_or(DateTime::<Utc>::UNIX_EPOCH),
            until: body.until.unwrap_or(DateTime::<Utc>::MAX_UTC),
            vector: body.embedding.as_ref().map(vector),
        }
    }

    /// In the order that [`Search`] says.
    fn in_order<'b>(&'b self, client: Option<&'b String>) -> Vec<&'b (dyn ToSql + Sync)> {
        let mut params: Vec<&(dyn ToSql + Sync)> = vec![
            &self.limit,
            &self.sees_sensitive,
            &self.body.role,
            &self.body.memory_type,
            &self.body.collection_id,
            &self.from,
            &self.until,
        ];
        if let Some(client) = client {
            params.push(client);
        }
        if let Some(vector) = &self.vector {
            params.push(vector);
        }
        if let Some(words) = &self.body.query {
            params.push(words);
        }
        params
    }
}
