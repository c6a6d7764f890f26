//! `core.memory_collections` and `core.memory_collection_items`: memories put together under a theme.

use chrono::{DateTime, Utc};
use db::{Row, Tx};
use uuid::Uuid;

use super::memories::{self, Consented, Memory};

/// A collection as it is read.
#[derive(Clone, Debug)]
pub(crate) struct Collection {
    pub(crate) id: Uuid,
    pub(crate) user_id: String,
    pub(crate) theme: Theme,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) created_by: String,
    pub(crate) updated_at: DateTime<Utc>,
    pub(crate) updated_by: String,
}

/// What a collection is about.
#[derive(Clone, Debug)]
pub(crate) struct Theme {
    pub(crate) collection_type: String,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
}

/// Which collection of whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) user_id: &'a str,
    pub(crate) collection_id: Uuid,
}

/// The columns of a collection, under the alias `c`.
const COLUMNS: &str =
    "c.id, c.user_id, c.collection_type, c.name, c.description, c.created_at, c.created_by, c.updated_at,
    c.updated_by";

/// One client's collections, in the order in which they were made; no row where the client is not seen as one cared for,
/// and one without an id where there is none or no consent. `$1` client, `$2` the id to go on behind, `$3` limit, `$4`
/// whether it is the client who reads.
pub(crate) fn list_sql() -> String {
    format!(
        "with person as materialized (
            select $4 or core.has_consent(u.user_id, 'memory', 'programme') as consented
            from core.users u
            where u.user_id = $1 and u.kind = 'client' and u.user_id <> all (array(select core.crisis_clients())))
         select p.consented, {COLUMNS}
         from person p
         left join lateral (
            select {COLUMNS} from core.memory_collections c
            where p.consented and c.user_id = $1 and c.id > $2
            order by c.id
            limit $3) as c on true"
    )
}

/// The rows of [`list_sql`].
pub(crate) fn listed(rows: &[Row]) -> Result<Consented<Vec<Collection>>, db::Error> {
    Consented::of(rows, |rows| super::listed::<Uuid, _>(rows, "id", from_row))
}

/// A collection that is seen, of `$1` client and `$2` id, and whether it may be read; `$3` whether it is the client who reads.
const KEPT: &str = "
    kept as materialized (
        select k.id as kept_id, $3 or core.has_consent(k.user_id, 'memory', 'programme') as consented
        from core.memory_collections k
        where k.user_id = $1 and k.id = $2 and k.user_id <> all (array(select core.crisis_clients())))";

/// One collection; no row where it is not seen, and one without an id where there is no consent. Parameters of [`KEPT`].
pub(crate) fn find_sql() -> String {
    format!(
        "with {KEPT}
         select k.consented, {COLUMNS}
         from kept k
         left join core.memory_collections c on k.consented and c.id = k.kept_id"
    )
}

/// The row of [`find_sql`].
pub(crate) fn found(rows: &[Row]) -> Result<Consented<Collection>, db::Error> {
    Consented::of(rows, |rows| rows.first().map(from_row).transpose())
}

fn from_row(row: &Row) -> Result<Collection, db::Error> {
    Ok(Collection {
        id: row.try_get("id")?,
        user_id: row.try_get("user_id")?,
        theme: Theme {
            collection_type: row.try_get("collection_type")?,
            name: row.try_get("name")?,
            description: row.try_get("description")?,
        },
        created_at: row.try_get("created_at")?,
        created_by: row.try_get("created_by")?,
        updated_at: row.try_get("updated_at")?,
        updated_by: row.try_get("updated_by")?,
    })
}

/// Makes a collection of a client who is seen. Another one of this type and name refuses as
/// `uq_memory_collections_name`.
pub(crate) async fn insert(tx: &Tx, user_id: &str, theme: &Theme, by: &str) -> Result<Collection, db::Error> {
    let row = tx
        .query_one(
            &format!(
                "insert into core.memory_collections as c (id, user_id, collection_type, name, description, created_by,
                    updated_by)
                 values ($1, $2, $3, $4, $5, $6, $6)
                 returning {COLUMNS}"
            ),
            &[
                &Uuid::now_v7(),
                &user_id,
                &theme.collection_type,
                &theme.name,
                &theme.description,
                &by,
            ],
        )
        .await?;
    from_row(&row)
}

/// What changes of a collection. The outer `None` leaves a field as it is, the inner one empties it.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) collection_type: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) description: Option<Option<String>>,
}

/// Changes a collection; `None` where there is none.
pub(crate) async fn update(
    tx: &Tx,
    place: Place<'_>,
    change: &Change,
    by: &str,
) -> Result<Option<Collection>, db::Error> {
    let row = tx
        .query_opt(
            &format!(
                "update core.memory_collections c
                 set collection_type = coalesce($3, c.collection_type), name = coalesce($4, c.name),
                    description = case when $5 then $6 else c.description end, updated_by = $7, updated_at = now()
                 where c.user_id = $1 and c.id = $2
                 returning {COLUMNS}"
            ),
            &[
                &place.user_id,
                &place.collection_id,
                &change.collection_type,
                &change.name,
                &change.description.is_some(),
                &change.description.as_ref().and_then(Option::as_ref),
                &by,
            ],
        )
        .await?;
    row.as_ref().map(from_row).transpose()
}

/// Removes a collection; its memories stay. `false` where there is none.
pub(crate) async fn delete(tx: &Tx, place: Place<'_>) -> Result<bool, db::Error> {
    let deleted = tx
        .execute(
            "delete from core.memory_collections c where c.user_id = $1 and c.id = $2",
            &[&place.user_id, &place.collection_id],
        )
        .await?;
    Ok(deleted > 0)
}

/// Locks a collection while its items change; `false` where there is none.
pub(crate) async fn lock(tx: &Tx, place: Place<'_>) -> Result<bool, db::Error> {
    let row = tx
        .query_opt(
            "select from core.memory_collections c where c.user_id = $1 and c.id = $2 for no key update",
            &[&place.user_id, &place.collection_id],
        )
        .await?;
    Ok(row.is_some())
}

/// Notes who changed the items of a collection, which is locked.
pub(crate) async fn touch(tx: &Tx, place: Place<'_>, by: &str) -> Result<(), db::Error> {
    tx.execute(
        "update core.memory_collections c set updated_by = $3, updated_at = now() where c.user_id = $1 and c.id = $2",
        &[&place.user_id, &place.collection_id, &by],
    )
    .await?;
    Ok(())
}

/// Puts a memory that is held into a collection of the same client. `false` where it is there already.
pub(crate) async fn add(tx: &Tx, place: Place<'_>, memory_id: Uuid, by: &str) -> Result<bool, db::Error> {
    let added = tx
        .execute(
            "insert into core.memory_collection_items (collection_id, memory_id, user_id, added_by)
             values ($1, $2, $3, $4)
             on conflict (collection_id, memory_id) do nothing",
            &[&place.collection_id, &memory_id, &place.user_id, &by],
        )
        .await?;
    Ok(added > 0)
}

/// Takes a memory out of a collection; `false` where it is not in it.
pub(crate) async fn remove(tx: &Tx, place: Place<'_>, memory_id: Uuid) -> Result<bool, db::Error> {
    let removed = tx
        .execute(
            "delete from core.memory_collection_items i
             where i.collection_id = $1 and i.memory_id = $2 and i.user_id = $3",
            &[&place.collection_id, &memory_id, &place.user_id],
        )
        .await?;
    Ok(removed > 0)
}

/// A memory in a collection.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) memory: Memory,
    pub(crate) added_by: String,
    pub(crate) added_at: DateTime<Utc>,
}

/// The memories of a collection that have not expired, in the order in which they were stored, with who added them when;
/// no row where there is no such collection, and one without an id where it is empty or there is no consent. Parameters of
/// [`KEPT`], `$4` whether sensitive ones are shown, `$5` the id to go on behind, `$6` limit.
pub(crate) fn items_sql() -> String {
    let columns = memories::COLUMNS;
    format!(
        "with {KEPT}
         select k.consented, {columns}, m.added_by, m.added_at
         from kept k
         left join lateral (
            select {columns}, i.added_by, i.added_at
            from core.memory_collection_items i
            join core.memories m on m.id = i.memory_id
            where k.consented and i.collection_id = $2 and i.memory_id > $5 and (not m.is_sensitive or $4)
              and (m.expires_at is null or m.expires_at > now())
            order by i.memory_id
            limit $6) as m on true"
    )
}

/// The rows of [`items_sql`].
pub(crate) fn items(rows: &[Row]) -> Result<Consented<Vec<Item>>, db::Error> {
    Consented::of(rows, |rows| super::listed::<Uuid, _>(rows, "id", item))
}

fn item(row: &Row) -> Result<Item, db::Error> {
    Ok(Item {
        memory: memories::from_row(row)?,
        added_by: row.try_get("added_by")?,
        added_at: row.try_get("added_at")?,
    })
}
