//! `core.users`.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use db::{Db, Row, Tx};
use serde_json::Value;

use crate::domain::changes::Account;
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
    pub(crate) clerk_user_id: Option<String>,
    pub(crate) status: String,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
    pub(crate) last_active: Option<DateTime<Utc>>,
    pub(crate) metadata: Option<Value>,
}

/// The columns of an account, under the alias `u`.
const COLUMNS: &str =
    "u.user_id, u.kind, u.username, u.email, u.full_name, u.display_name, u.phone, u.timezone, u.locale,
    u.external_id, u.clerk_user_id, u.status, u.created_at, u.updated_at, u.last_active, u.metadata";

/// What a search looks at: how one of these begins. Each has an index of its own.
const SEARCHED: [&str; 5] = [
    "lower(u.user_id)",
    "lower(u.username)",
    "lower(u.email)",
    "lower(u.full_name)",
    "lower(u.display_name)",
];

/// The clients of a caseload by id, without those seen for a crisis alone. `$1` status or null, `$2` how a name, address
/// or id begins or null, `$3` the last id seen or empty, `$4` limit. Which clients are visible is the row policy's to
/// decide; it is said here as well so that the index on them is used.
pub(crate) fn caseload_sql() -> String {
    let begins: Vec<String> = SEARCHED
        .iter()
        .map(|column| format!("starts_with({column}, lower($2))"))
        .collect();
    format!(
        "select {COLUMNS} from core.users u
         where u.user_id = any ((select core.visible_clients())::varchar[]) and u.kind = 'client'
           and ($1::varchar is null or u.status = $1)
           and ($2::text is null or {})
           and u.user_id > $3
           and u.user_id <> all (array(select core.crisis_clients()))
         order by u.user_id
         limit $4",
        begins.join(" or ")
    )
}

/// All accounts by id. `$1` kind and `$2` status, each or null; `$3` the last id seen or empty, `$4` limit.
pub(crate) fn list_sql() -> String {
    format!(
        "select {COLUMNS} from core.users u
         where ($1::varchar is null or u.kind = $1) and ($2::varchar is null or u.status = $2) and u.user_id > $3
         order by u.user_id
         limit $4"
    )
}

/// As [`list_sql`], those of whom a name, address or id begins with `$5`. Every column is searched by itself, from its
/// index: in one condition the planner would rather walk the ids until it has found enough. The last character there is
/// ends the range.
pub(crate) fn search_sql() -> String {
    let arms: Vec<String> = SEARCHED
        .iter()
        .map(|column| {
            format!(
                "select {COLUMNS} from core.users u
                 where {column} ~>=~ lower($5::text) and {column} ~<~ (lower($5::text) || chr(1114111))
                   and ($1::varchar is null or u.kind = $1) and ($2::varchar is null or u.status = $2)
                   and u.user_id > $3"
            )
        })
        .collect();
    format!(
        "select distinct on (u.user_id) {COLUMNS} from ({}) as u
         order by u.user_id
         limit $4",
        arms.join(" union all ")
    )
}

/// One account, unless it is a client's who is seen for a crisis alone. `$1` its id, `$2` its kind or null.
pub(crate) fn find_sql() -> String {
    format!(
        "select {COLUMNS} from core.users u
         where u.user_id = $1 and ($2::varchar is null or u.kind = $2)
           and u.user_id <> all (array(select core.crisis_clients()))"
    )
}

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
        clerk_user_id: row.try_get("clerk_user_id")?,
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
        .map(|row| Ok((row.try_get("user_id")?, kind_of(row)?)))
        .collect()
}

/// Whether there is an account of this id, and it is a client's.
pub(crate) async fn is_client(tx: &Tx, user_id: &str) -> Result<bool, db::Error> {
    let sql = "select u.user_id from core.users u where u.user_id = $1 and u.kind = 'client'";
    Ok(tx.query_opt(sql, &[&user_id]).await?.is_some())
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

/// Notes with the commit when clients were last active; an older time changes nothing. They are locked.
pub(crate) fn touch(tx: &Tx, active: Vec<(String, DateTime<Utc>)>) {
    if active.is_empty() {
        return;
    }
    let (user_ids, times): (Vec<String>, Vec<DateTime<Utc>>) = active.into_iter().unzip();
    tx.at_commit(
        "update core.users u set last_active = n.at
         from (select a.user_id, max(a.at) as at
               from unnest($1::varchar[], $2::timestamptz[]) as a (user_id, at) group by a.user_id) as n
         where u.user_id = n.user_id and (u.last_active is null or u.last_active < n.at)",
        vec![Box::new(user_ids), Box::new(times)],
    );
}

/// An account that nobody else changes until the transaction ends.
#[derive(Clone, Debug)]
pub(crate) struct Locked {
    pub(crate) kind: Kind,
    pub(crate) account: Account,
    pub(crate) updated_at: DateTime<Utc>,
}

/// Locks an account that the transaction may see, of that kind where one is named; clients seen for a crisis alone are
/// not among them.
pub(crate) async fn lock(tx: &Tx, user_id: &str, kind: Option<Kind>) -> Result<Option<Locked>, db::Error> {
    let row = tx
        .query_opt(
            "select u.kind, u.username, u.email, u.full_name, u.display_name, u.phone, u.timezone, u.locale,
                u.external_id, u.clerk_user_id, u.status, u.metadata, u.updated_at
             from core.users u
             where u.user_id = $1 and ($2::varchar is null or u.kind = $2)
               and u.user_id <> all (array(select core.crisis_clients()))
             for no key update",
            &[&user_id, &kind.map(Kind::as_str)],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Locked {
        kind: kind_of(&row)?,
        account: Account {
            username: row.try_get("username")?,
            email: row.try_get("email")?,
            full_name: row.try_get("full_name")?,
            display_name: row.try_get("display_name")?,
            phone: row.try_get("phone")?,
            timezone: row.try_get("timezone")?,
            locale: row.try_get("locale")?,
            external_id: row.try_get("external_id")?,
            clerk_user_id: row.try_get("clerk_user_id")?,
            status: row.try_get("status")?,
            metadata: row.try_get("metadata")?,
        },
        updated_at: row.try_get("updated_at")?,
    }))
}

/// Stores what became of a locked account, but for its status; returns when.
pub(crate) async fn update(tx: &Tx, user_id: &str, account: &Account) -> Result<DateTime<Utc>, db::Error> {
    let row = tx
        .query_one(
            "update core.users u
             set username = $2, email = $3, full_name = $4, display_name = $5, phone = $6, timezone = $7, locale = $8,
                external_id = $9, clerk_user_id = $10, metadata = $11, updated_at = now()
             where u.user_id = $1
             returning u.updated_at",
            &[
                &user_id,
                &account.username,
                &account.email,
                &account.full_name,
                &account.display_name,
                &account.phone,
                &account.timezone,
                &account.locale,
                &account.external_id,
                &account.clerk_user_id,
                &account.metadata,
            ],
        )
        .await?;
    Ok(row.try_get("updated_at")?)
}

/// Stores another status. Alone, because every service forgets its remembered tokens whenever a statement names it.
pub(crate) async fn set_status(tx: &Tx, user_id: &str, status: &str) -> Result<(), db::Error> {
    tx.execute(
        "update core.users u set status = $2 where u.user_id = $1",
        &[&user_id, &status],
    )
    .await?;
    Ok(())
}

fn kind_of(row: &Row) -> Result<Kind, db::Error> {
    Kind::parse(row.try_get("kind")?).ok_or_else(|| db::Error::Row("users.kind is no kind".to_owned()))
}

/// Accounts behind an id, each with when it was made.
pub(crate) async fn page(
    db: &Db,
    after: &str,
    limit: i64,
) -> Result<Vec<(String, DateTime<Utc>)>, db::Error> {
    let sql =
        "select u.user_id, u.created_at from core.users u where u.user_id > $1 order by u.user_id limit $2";
    let rows = db.worker_query(sql, &[&after, &limit]).await?;
    rows.iter()
        .map(|row| Ok((row.try_get("user_id")?, row.try_get("created_at")?)))
        .collect()
}

/// Locks the client who belongs to an account at Clerk. Staff have nothing of theirs there.
pub(crate) async fn lock_of_clerk(tx: &Tx, clerk_user_id: &str) -> Result<Option<String>, db::Error> {
    let row = tx
        .query_opt(
            "select u.user_id from core.users u
             where u.clerk_user_id = $1 and u.kind = 'client' for no key update",
            &[&clerk_user_id],
        )
        .await?;
    row.map(|row| Ok(row.try_get("user_id")?)).transpose()
}

/// The active client (`user_id`) that belongs to one at Clerk (`$1`).
pub(crate) const OF_CLERK: &str =
    "select u.user_id from core.users u where u.clerk_user_id = $1 and u.kind = 'client'";

/// The id of an account at Clerk, where it has one there.
pub(crate) async fn clerk_user_id(tx: &Tx, user_id: &str) -> Result<Option<String>, db::Error> {
    let row = tx
        .query_opt(
            "select u.clerk_user_id from core.users u where u.user_id = $1",
            &[&user_id],
        )
        .await?;
    row.map_or(Ok(None), |row| Ok(row.try_get("clerk_user_id")?))
}
