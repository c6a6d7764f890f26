//! Memories put together under a theme. Who made and changed a collection is kept by the service.

mod items;

use actix_web::web::{Data, Path, ThinData};
use actix_web::{HttpResponse, delete, get, patch, post};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use web::{
    Answer, Caller, Code, CursorKey, FieldError, Fields, Granted, Holder, Identifier, NOBODY_ELSE, Page,
    Paging, Problem, Query, Read, Write, read,
};

use super::memories::is_the_client;
use super::preferences::{READ, WRITE};
use crate::error::Error;
use crate::ops::remember;
use crate::state::State;
use crate::store::memory_collections::{self, Change, Collection, Theme};

pub(super) use self::items::{add, list_items, remove};

const MAX_TYPE_BYTES: usize = 50;
const MAX_NAME_BYTES: usize = 255;
const MAX_DESCRIPTION_BYTES: usize = 2_000;
/// Whoever acts for themselves, as collections name them: no id of a person stands there.
const SELF: &str = "self";

/// Whose, and which.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct Place {
    #[param(value_type = String)]
    user_id: Identifier,
    collection_id: Uuid,
}

impl Place {
    fn stored(&self) -> memory_collections::Place<'_> {
        memory_collections::Place {
            user_id: &self.user_id,
            collection_id: self.collection_id,
        }
    }
}

/// Who keeps a collection: the client, or an app by its id.
fn keeper(caller: &Caller) -> &str {
    if caller.principal.holder == Holder::Client {
        SELF
    } else {
        &caller.principal.id
    }
}

/// What a collection is about.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; Theme is what it is read into")]
struct CollectionBody {
    /// What sort of theme.
    #[schema(max_length = 50, example = "goal")]
    collection_type: String,
    #[schema(max_length = 255, example = "a flat of my own")]
    name: String,
    /// Up to 2,000 bytes.
    description: Option<String>,
}

impl Read for Theme {
    const MAX_BODY_BYTES: usize = 32 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let collection_type = fields.required("collection_type", read::text(1..=MAX_TYPE_BYTES));
        let name = fields.required("name", read::text(1..=MAX_NAME_BYTES));
        let description = fields.optional("description", read::text(1..=MAX_DESCRIPTION_BYTES));
        Some(Self {
            collection_type: collection_type?,
            name: name?,
            description: description?,
        })
    }
}

/// What changes; what is left out stays.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; Change is what it is read into")]
struct CollectionChangeBody {
    collection_type: Option<String>,
    name: Option<String>,
    /// Null empties it.
    description: Option<String>,
}

impl Read for Change {
    const MAX_BODY_BYTES: usize = 32 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let collection_type = fields.optional("collection_type", read::text(1..=MAX_TYPE_BYTES));
        let name = fields.optional("name", read::text(1..=MAX_NAME_BYTES));
        let description = fields.change("description", read::text(1..=MAX_DESCRIPTION_BYTES));
        Some(Self {
            collection_type: collection_type?,
            name: name?,
            description: description?,
        })
    }
}

/// A collection.
#[derive(Serialize, ToSchema)]
struct CollectionView {
    id: Uuid,
    user_id: String,
    collection_type: String,
    name: String,
    description: Option<String>,
    created_at: DateTime<Utc>,
    /// self, or the id of the app.
    created_by: String,
    /// When it was changed last, items included.
    updated_at: DateTime<Utc>,
    updated_by: String,
}

impl From<Collection> for CollectionView {
    fn from(found: Collection) -> Self {
        Self {
            id: found.id,
            user_id: found.user_id,
            collection_type: found.theme.collection_type,
            name: found.theme.name,
            description: found.theme.description,
            created_at: found.created_at,
            created_by: found.created_by,
            updated_at: found.updated_at,
            updated_by: found.updated_by,
        }
    }
}

/// A collection that was made or changed; what it is about is not sent back: answers are kept as well, and longer than what
/// is removed.
#[derive(Serialize, ToSchema)]
struct KeptCollection {
    id: Uuid,
    user_id: String,
    created_at: DateTime<Utc>,
    /// self, or the id of the app.
    created_by: String,
    updated_at: DateTime<Utc>,
    updated_by: String,
}

impl From<Collection> for KeptCollection {
    fn from(kept: Collection) -> Self {
        Self {
            id: kept.id,
            user_id: kept.user_id,
            created_at: kept.created_at,
            created_by: kept.created_by,
            updated_at: kept.updated_at,
            updated_by: kept.updated_by,
        }
    }
}

/// Make a collection. What it is about is not sent back.
#[utoipa::path(
    tag = "memories",
    params(("user_id" = String, Path)),
    request_body = CollectionBody,
    responses(
        (status = 201, body = KeptCollection),
        (status = 403, description = "consent-required: the client has not consented to be remembered"),
        (status = 409, description = "Another one of this type has the name")
    ),
    extensions(("x-principals" = json!(WRITE)))
)]
#[post("/v1/users/{user_id}/collections")]
pub(crate) async fn create(
    state: Data<State>,
    user_id: Path<Identifier>,
    request: Write<Theme>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&WRITE)?;
    let tx = state.db.begin(&caller.actor_for(&user_id)?).await?;
    web::write(tx, &caller, key, async |tx| {
        remember::hold_consent(tx, &user_id).await?;
        let made = memory_collections::insert(tx, &user_id, &body, keeper(&caller)).await;
        let made = made.map_err(taken)?;
        let location = format!("/v1/users/{}/collections/{}", made.user_id, made.id);
        Ok(Answer::created(location, &KeptCollection::from(made))?)
    })
    .await
}

fn taken(error: db::Error) -> Error {
    if error.constraint() != Some("uq_memory_collections_name") {
        return error.into();
    }
    let fault = FieldError {
        pointer: "/name".to_owned(),
        detail: "is taken".to_owned(),
    };
    Problem::conflict(Code::Taken, "Another collection of this type has this name.")
        .with_errors(vec![fault])
        .into()
}

/// Rename or describe a collection. What it is about is not sent back.
#[utoipa::path(
    tag = "memories",
    params(Place),
    request_body = CollectionChangeBody,
    responses(
        (status = 200, body = KeptCollection),
        (status = 403, description = "consent-required: the client has not consented to be remembered"),
        (status = 409, description = "Another one of this type has the name")
    ),
    extensions(("x-principals" = json!(WRITE)))
)]
#[patch("/v1/users/{user_id}/collections/{collection_id}")]
pub(crate) async fn change(
    state: Data<State>,
    path: Path<Place>,
    request: Write<Change>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&WRITE)?;
    let tx = state.db.begin(&caller.actor_for(&path.user_id)?).await?;
    web::write(tx, &caller, key, async |tx| {
        remember::hold_consent(tx, &path.user_id).await?;
        let changed = memory_collections::update(tx, path.stored(), &body, keeper(&caller)).await;
        let changed = changed.map_err(taken)?.ok_or(Error::NotFound)?;
        Ok(Answer::ok(&KeptCollection::from(changed))?)
    })
    .await
}

/// Remove a collection. Its memories stay.
#[utoipa::path(
    tag = "memories",
    params(Place),
    responses((status = 204, description = "It is removed")),
    extensions(("x-principals" = json!(WRITE)))
)]
#[delete("/v1/users/{user_id}/collections/{collection_id}")]
pub(crate) async fn delete_collection(
    state: Data<State>,
    path: Path<Place>,
    request: Write<()>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, key, .. } = request.allow(&WRITE)?;
    let tx = state.db.begin(&caller.actor_for(&path.user_id)?).await?;
    web::write(tx, &caller, key, async |tx| {
        if memory_collections::delete(tx, path.stored()).await? {
            Ok(Answer::no_content())
        } else {
            Err(Error::NotFound)
        }
    })
    .await
}

/// One collection.
#[utoipa::path(
    tag = "memories",
    params(Place),
    responses(
        (status = 200, body = CollectionView),
        (status = 403, description = "consent-required: the client, who needs none, has not consented to be remembered")
    ),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/users/{user_id}/collections/{collection_id}")]
pub(crate) async fn find(
    state: Data<State>,
    path: Path<Place>,
    _: Query<()>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let actor = caller.actor_for(&path.user_id)?;
    let params: db::Params<'_> = &[&&*path.user_id, &path.collection_id, &is_the_client(&caller)];
    let rows = state
        .db
        .read(&actor, &memory_collections::find_sql(), params)
        .await?;
    let found = remember::must_be_shown(memory_collections::found(&rows)?)?;
    Ok(caller.disclose(NOBODY_ELSE, &CollectionView::from(found)).await?)
}

/// A client's collections, in the order in which they were made.
#[utoipa::path(
    tag = "memories",
    params(
        ("user_id" = String, Path),
        ("limit" = Option<i64>, Query),
        ("cursor" = Option<String>, Query)
    ),
    responses(
        (status = 200, body = Page<CollectionView>),
        (status = 403, description = "consent-required: the client, who needs none, has not consented to be remembered")
    ),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/users/{user_id}/collections")]
pub(crate) async fn list(
    state: Data<State>,
    user_id: Path<Identifier>,
    Query(paging): Query<Paging>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let list = format!("collections of {}", *user_id);
    let after: Uuid = cursors.open(&list, &caller, &paging)?.unwrap_or_default();
    let limit = paging.limit + 1;
    let params: db::Params<'_> = &[&&**user_id, &after, &limit, &is_the_client(&caller)];
    let actor = caller.actor_for(&user_id)?;
    let rows = state
        .db
        .read(&actor, &memory_collections::list_sql(), params)
        .await?;
    let found = remember::must_be_shown(memory_collections::listed(&rows)?)?;
    let items = found.into_iter().map(CollectionView::from).collect();
    let page = Page::cut(items, paging.limit, |last: &CollectionView| {
        cursors.seal(&list, &caller, &paging, &last.id)
    });
    Ok(caller.disclose(NOBODY_ELSE, &page).await?)
}
