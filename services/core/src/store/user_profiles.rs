//! `core.user_profiles`: what is durably known of a client.

use chrono::{DateTime, Utc};
use db::{Row, Tx};

use crate::domain::profile::NewEntry;

/// What is known under a key.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) profile_key: String,
    pub(crate) content: NewEntry,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
}

/// One client's profile by key; no row where the client is not seen as one cared for, and one without a key where nothing
/// is known. `$1` client, `$2` whether sensitive entries are shown, `$3` the last key seen or empty, `$4` limit.
pub(crate) const LIST: &str = "
    with person as (
        select u.user_id
        from core.users u
        where u.user_id = $1 and u.kind = 'client' and u.user_id <> all (array(select core.crisis_clients())))
    select p.user_id, e.profile_key, e.profile_value, e.is_sensitive, e.source, e.metadata, e.created_at, e.updated_at
    from person p
    left join lateral (
        select l.profile_key, l.profile_value, l.is_sensitive, l.source, l.metadata, l.created_at, l.updated_at
        from core.user_profiles l
        where l.user_id = $1 and (not l.is_sensitive or $2) and l.profile_key > $3
        order by l.profile_key
        limit $4) as e on true";

/// One entry. `$1` client, `$2` key, `$3` whether sensitive entries are shown.
pub(crate) const FIND: &str = "
    select e.profile_key, e.profile_value, e.is_sensitive, e.source, e.metadata, e.created_at, e.updated_at
    from core.user_profiles e
    where e.user_id = $1 and e.profile_key = $2 and (not e.is_sensitive or $3)
      and e.user_id <> all (array(select core.crisis_clients()))";

/// The rows of [`LIST`]; `None` where the client is not seen.
pub(crate) fn listed(rows: &[Row]) -> Result<Option<Vec<Entry>>, db::Error> {
    super::listed::<String, _>(rows, "profile_key", from_row)
}

pub(crate) fn from_row(row: &Row) -> Result<Entry, db::Error> {
    Ok(Entry {
        profile_key: row.try_get("profile_key")?,
        content: NewEntry {
            profile_value: row.try_get("profile_value")?,
            is_sensitive: row.try_get("is_sensitive")?,
            source: row.try_get("source")?,
            metadata: row.try_get("metadata")?,
        },
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}

/// Writes what is known under a key; `None` where the client is not seen. The flag says whether the key is new.
pub(crate) async fn put(
    tx: &Tx,
    user_id: &str,
    key: &str,
    entry: &NewEntry,
) -> Result<Option<(Entry, bool)>, db::Error> {
    // A row that was inserted has no xmax yet; one that the conflict updated has.
    let row = tx
        .query_opt(
            "insert into core.user_profiles as e (user_id, profile_key, profile_value, is_sensitive, source, metadata)
             select u.user_id, $2, $3, $4, $5, $6 from core.users u where u.user_id = $1 and u.kind = 'client'
             on conflict (user_id, profile_key) do update set profile_value = excluded.profile_value,
                is_sensitive = excluded.is_sensitive, source = excluded.source, metadata = excluded.metadata,
                updated_at = now()
             returning e.profile_key, e.profile_value, e.is_sensitive, e.source, e.metadata, e.created_at, e.updated_at,
                e.xmax = 0 as is_new",
            &[
                &user_id,
                &key,
                &entry.profile_value,
                &entry.is_sensitive,
                &entry.source,
                &entry.metadata,
            ],
        )
        .await?;
    row.map(|row| Ok((from_row(&row)?, row.try_get("is_new")?)))
        .transpose()
}

/// Forgets a key; `false` where there is none.
pub(crate) async fn delete(tx: &Tx, user_id: &str, key: &str) -> Result<bool, db::Error> {
    let deleted = tx
        .execute(
            "delete from core.user_profiles e where e.user_id = $1 and e.profile_key = $2",
            &[&user_id, &key],
        )
        .await?;
    Ok(deleted > 0)
}
