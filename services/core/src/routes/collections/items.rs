//! Which memories are in a collection.

use actix_web::web::{Data, Path, ThinData};
use actix_web::{HttpResponse, delete, get, put};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use web::{Answer, Caller, CursorKey, Granted, Identifier, NOBODY_ELSE, Page, Paging, Query, Write};

use super::super::memories::{MemoryView, is_the_client, sees_sensitive};
use super::super::preferences::{READ, WRITE};
use super::{Place, keeper};
use crate::error::Error;
use crate::ops::remember;
use crate::state::State;
use crate::store::memory_collections::{Item, Place as Stored};
use crate::store::{memories, memory_collections};

/// A memory in a collection.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct ItemPlace {
    #[param(value_type = String)]
    user_id: Identifier,
    collection_id: Uuid,
    memory_id: Uuid,
}

impl ItemPlace {
    fn stored(&self) -> Stored<'_> {
        Stored {
            user_id: &self.user_id,
            collection_id: self.collection_id,
        }
    }
}

/// A memory in a collection.
#[derive(Serialize, ToSchema)]
struct ItemView {
    #[serde(flatten)]
    memory: MemoryView,
    /// self, or the id of the app.
    added_by: String,
    added_at: DateTime<Utc>,
}

impl From<Item> for ItemView {
    fn from(found: Item) -> Self {
        Self {
            memory: found.memory.into(),
            added_by: found.added_by,
            added_at: found.added_at,
        }
    }
}

/// Put a memory that holds into a collection. Saying it twice changes nothing.
#[utoipa::path(
    tag = "memories",
    params(ItemPlace),
    responses(
        (status = 204, description = "It is in the collection"),
        (status = 403, description = "consent-required: the client has not consented to be remembered")
    ),
    extensions(("x-principals" = json!(WRITE)))
)]
#[put("/v1/users/{user_id}/collections/{collection_id}/items/{memory_id}")]
pub(crate) async fn add(
    state: Data<State>,
    path: Path<ItemPlace>,
    request: Write<()>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, key, .. } = request.allow(&WRITE)?;
    let tx = state.db.begin(&caller.actor_for(&path.user_id)?).await?;
    web::write(tx, &caller, key, async |tx| {
        remember::hold_consent(tx, &path.user_id).await?;
        let owner = memories::hold(tx, path.memory_id).await?;
        if owner.as_deref() != Some(&*path.user_id) {
            return Err(Error::NotFound);
        }
        if !memory_collections::lock(tx, path.stored()).await? {
            return Err(Error::NotFound);
        }
        let by = keeper(&caller);
        if memory_collections::add(tx, path.stored(), path.memory_id, by).await? {
            memory_collections::touch(tx, path.stored(), by).await?;
        }
        Ok(Answer::no_content())
    })
    .await
}

/// Take a memory out of a collection. It is not forgotten.
#[utoipa::path(
    tag = "memories",
    params(ItemPlace),
    responses((status = 204, description = "It is in the collection no more")),
    extensions(("x-principals" = json!(WRITE)))
)]
#[delete("/v1/users/{user_id}/collections/{collection_id}/items/{memory_id}")]
pub(crate) async fn remove(
    state: Data<State>,
    path: Path<ItemPlace>,
    request: Write<()>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, key, .. } = request.allow(&WRITE)?;
    let tx = state.db.begin(&caller.actor_for(&path.user_id)?).await?;
    web::write(tx, &caller, key, async |tx| {
        let is_there = memory_collections::lock(tx, path.stored()).await?
            && memory_collections::remove(tx, path.stored(), path.memory_id).await?;
        if !is_there {
            return Err(Error::NotFound);
        }
        memory_collections::touch(tx, path.stored(), keeper(&caller)).await?;
        Ok(Answer::no_content())
    })
    .await
}

/// The memories of a collection, in the order in which they were stored. A correction stands in the place of what it
/// corrected.
#[utoipa::path(
    tag = "memories",
    params(
        Place,
        ("limit" = Option<i64>, Query),
        ("cursor" = Option<String>, Query)
    ),
    responses(
        (status = 200, body = Page<ItemView>),
        (status = 403, description = "consent-required: the client, who needs none, has not consented to be remembered")
    ),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/users/{user_id}/collections/{collection_id}/items")]
pub(crate) async fn list_items(
    state: Data<State>,
    path: Path<Place>,
    Query(paging): Query<Paging>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let list = format!("collection {}", path.collection_id);
    let after: Uuid = cursors.open(&list, &caller, &paging)?.unwrap_or_default();
    let params: db::Params<'_> = &[
        &&*path.user_id,
        &path.collection_id,
        &is_the_client(&caller),
        &sees_sensitive(&caller),
        &after,
        &(paging.limit + 1),
    ];
    let actor = caller.actor_for(&path.user_id)?;
    let sql = memory_collections::items_sql();
    let rows = state.db.read(&actor, &sql, params).await?;
    let found = remember::must_be_shown(memory_collections::items(&rows)?)?;
    let items = found.into_iter().map(ItemView::from).collect();
    let page = Page::cut(items, paging.limit, |last: &ItemView| {
        cursors.seal(&list, &caller, &paging, &last.memory.id)
    });
    state.touched.note(page.items.iter().map(|shown| shown.memory.id));
    Ok(caller.disclose(NOBODY_ELSE, &page).await?)
}
