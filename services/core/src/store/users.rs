//! `core.users`.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use db::{Row, Tx};
use serde_json::Value;

use crate::domain::clerk::Profile;
use crate::domain::user::{Kind, NewUser};

/// An account as it is read.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) user_id: String,
    pub(crate) kind: String,
    pub(crate) username: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) full_name: Option<String>,
    pub(crate) display_name: Option<String>,
    pub(crate) phone: Option<String>,
    pub(crate) timezone: String,
    pub(crate) locale: Option<String>,
    pub(crate) external_id: Option<String>,
    pub(crate) status: String,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
    pub(crate) last_active: Option<DateTime<Utc>>,
    pub(crate) metadata: Option<Value>,
}

/// Accounts by id, of those that the transaction may see, without clients seen for a crisis alone. `$1` kind,
/// `$2` status, `$3` how a name or address begins, each or null; `$4` the last id seen or empty, `$5` limit.
pub(crate) const LIST: &str = "
    select u.user_id, u.kind, u.username, u.email, u.full_name, u.display_name, u.phone, u.timezone, u.locale,
        u.external_id, u.status, u.created_at, u.updated_at, u.last_active, u.metadata
    from core.users u
    where ($1::varchar is null or u.kind = $1)
      and ($2::varchar is null or u.status = $2)
      and ($3::text is null or starts_with(lower(u.display_name), lower($3)) or starts_with(lower(u.username), lower($3))
        or starts_with(lower(u.full_name), lower($3)) or starts_with(lower(u.email), lower($3))
        or starts_with(lower(u.user_id), lower($3)))
      and u.user_id > $4
      and u.user_id <> all (array(select core.crisis_clients()))
    order by u.user_id
    limit $5";

/// One account, unless it is a client's who is seen for a crisis alone. `$1` its id, `$2` its kind or null.
pub(crate) const FIND: &str = "
    select u.user_id, u.kind, u.username, u.email, u.full_name, u.display_name, u.phone, u.timezone, u.locale,
        u.external_id, u.status, u.created_at, u.updated_at, u.last_active, u.metadata
    from core.users u
    where u.user_id = $1 and ($2::varchar is null or u.kind = $2)
      and u.user_id <> all (array(select core.crisis_clients()))";

/// Which of these ids (`$1`) are accounts at all.
pub(crate) const EXISTING: &str = "select u.user_id from core.users u where u.user_id = any ($1)";

pub(crate) fn from_row(row: &Row) -> Result<User, db::Error> {
    Ok(User {
        user_id: row.try_get("user_id")?,
        kind: row.try_get("kind")?,
        username: row.try_get("username")?,
        email: row.try_get("email")?,
        full_name: row.try_get("full_name")?,
        display_name: row.try_get("display_name")?,
        phone: row.try_get("phone")?,
        timezone: row.try_get("timezone")?,
        locale: row.try_get("locale")?,
        external_id: row.try_get("external_id")?,
        status: row.try_get("status")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
        last_active: row.try_get("last_active")?,
        metadata: row.try_get("metadata")?,
    })
}

pub(crate) fn ids(rows: &[Row]) -> Result<HashSet<String>, db::Error> {
    rows.iter().map(|row| Ok(row.try_get("user_id")?)).collect()
}

/// Stores an account; returns when.
pub(crate) async fn insert(tx: &Tx, user: &NewUser) -> Result<DateTime<Utc>, db::Error> {
    let row = tx
        .query_one(
            "insert into core.users (user_id, kind, username, email, full_name, display_name, phone, timezone, locale,
                clerk_user_id, external_id, metadata)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
             returning created_at",
            &[
                &user.user_id,
                &user.kind.as_str(),
                &user.username,
                &user.email,
                &user.full_name,
                &user.display_name,
                &user.phone,
                &user.timezone,
                &user.locale,
                &user.clerk_user_id,
                &user.external_id,
                &user.metadata,
            ],
        )
        .await?;
    Ok(row.try_get("created_at")?)
}

/// The kinds of accounts, which stay until the transaction ends.
pub(crate) async fn hold(tx: &Tx, user_ids: &[&str]) -> Result<HashMap<String, Kind>, db::Error> {
    let rows = tx
        .query(
            "select u.user_id, u.kind from core.users u where u.user_id = any ($1)
             order by u.user_id for key share",
            &[&user_ids],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let kind = Kind::parse(row.try_get("kind")?)
                .ok_or_else(|| db::Error::Row("users.kind is no kind".to_owned()))?;
            Ok((row.try_get("user_id")?, kind))
        })
        .collect()
}

/// Locks the clients among these that the transaction may see and write to, in one order for everybody; clients
/// seen for a crisis alone are not among them.
pub(crate) async fn lock_clients(tx: &Tx, user_ids: &[&str]) -> Result<HashSet<String>, db::Error> {
    let rows = tx
        .query(
            "select u.user_id from core.users u
             where u.user_id = any ($1) and u.kind = 'client'
               and u.user_id <> all (array(select core.crisis_clients()))
             order by u.user_id
             for no key update",
            &[&user_ids],
        )
        .await?;
    ids(&rows)
}

/// Notes when clients were last active; an older time changes nothing. They are locked.
pub(crate) async fn touch(tx: &Tx, active: &[(&str, DateTime<Utc>)]) -> Result<(), db::Error> {
    if active.is_empty() {
        return Ok(());
    }
    tx.execute(
        "update core.users u set last_active = n.at
         from (select a.user_id, max(a.at) as at
               from unnest($1::varchar[], $2::timestamptz[]) as a (user_id, at) group by a.user_id) as n
         where u.user_id = n.user_id and (u.last_active is null or u.last_active < n.at)",
        &[
            &active.iter().map(|(user_id, _)| *user_id).collect::<Vec<_>>(),
            &active.iter().map(|(_, at)| *at).collect::<Vec<_>>(),
        ],
    )
    .await?;
    Ok(())
}

/// Gives an account other names; `None` leaves one as it is.
pub(crate) async fn rename(
    tx: &Tx,
    user_id: &str,
    username: Option<&str>,
    display_name: Option<&str>,
) -> Result<(), db::Error> {
    tx.execute(
        "update core.users u
         set username = coalesce($2, u.username), display_name = coalesce($3, u.display_name), updated_at = now()
         where u.user_id = $1
           and (u.username, u.display_name) is distinct from
               (coalesce($2, u.username), coalesce($3, u.display_name))",
        &[&user_id, &username, &display_name],
    )
    .await?;
    Ok(())
}

/// Locks the account that belongs to one at Clerk; its id.
pub(crate) async fn lock_of_clerk(tx: &Tx, clerk_user_id: &str) -> Result<Option<String>, db::Error> {
    let row = tx
        .query_opt(
            "select u.user_id from core.users u where u.clerk_user_id = $1 for no key update",
            &[&clerk_user_id],
        )
        .await?;
    row.map(|row| Ok(row.try_get("user_id")?)).transpose()
}

/// The active account (`user_id`) that belongs to one at Clerk (`$1`).
pub(crate) const OF_CLERK: &str =
    "select u.user_id from core.users u where u.clerk_user_id = $1 and u.status = 'active'";

/// Gives an account the names and addresses that it has at Clerk.
pub(crate) async fn set_profile(tx: &Tx, user_id: &str, profile: &Profile) -> Result<(), db::Error> {
    tx.execute(
        "update core.users u
         set username = $2, email = $3, full_name = $4, display_name = $5, phone = $6, external_id = $7,
             updated_at = now()
         where u.user_id = $1",
        &[
            &user_id,
            &profile.username,
            &profile.email,
            &profile.full_name,
            &profile.display_name,
            &profile.phone,
            &profile.external_id,
        ],
    )
    .await?;
    Ok(())
}

/// Lets nobody sign in to an account.
pub(crate) async fn suspend(tx: &Tx, user_id: &str) -> Result<(), db::Error> {
    tx.execute(
        "update core.users u set status = 'suspended', updated_at = now() where u.user_id = $1 and u.status <> 'suspended'",
        &[&user_id],
    )
    .await?;
    Ok(())
}
