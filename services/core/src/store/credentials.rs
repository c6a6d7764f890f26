//! `core.credentials`: hashes only.

use chrono::{DateTime, Utc};
use db::{Row, Tx};

use crate::domain::user::Kind;

/// Who may be signing in.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) user_id: String,
    pub(crate) kind: Kind,
    pub(crate) username: Option<String>,
    pub(crate) email: Option<String>,
    /// Whether the account is neither suspended nor on its way out.
    pub(crate) is_active: bool,
    pub(crate) password_hash: Option<String>,
    pub(crate) now: DateTime<Utc>,
}

/// The account of an e-mail address. `$1` the address, in any case.
pub(crate) const FIND_BY_EMAIL: &str = "
    select u.user_id, u.kind, u.username, u.email, u.status = 'active' as is_active, c.password_hash,
        now() as now
    from core.users u left join core.credentials c on c.user_id = u.user_id
    where lower(u.email) = lower($1)";

/// The account of an id. `$1` the id.
pub(crate) const FIND: &str = "
    select u.user_id, u.kind, u.username, u.email, u.status = 'active' as is_active, c.password_hash,
        now() as now
    from core.users u left join core.credentials c on c.user_id = u.user_id
    where u.user_id = $1";

/// The accounts of ids. `$1` the ids.
pub(crate) const FIND_EACH: &str = "
    select u.user_id, u.kind, u.username, u.email, u.status = 'active' as is_active, c.password_hash,
        now() as now
    from core.users u left join core.credentials c on c.user_id = u.user_id
    where u.user_id = any ($1)";

/// Waits until nobody else opens, renews or ends sign-ins of a person, until the transaction ends. Whoever does first
/// locks so, before anything else of the person: else tokens that are just being made would survive an end that does not
/// see them yet. `$1` the person.
pub(crate) const HOLD: &str =
    "select pg_advisory_xact_lock(hashtextextended('core.sign_in|' || $1::varchar, 0))";

/// As [`HOLD`], the client who belongs to an account at Clerk. `$1` that account.
pub(crate) const HOLD_OF_CLERK: &str = "
    select pg_advisory_xact_lock(hashtextextended('core.sign_in|' || u.user_id, 0))
    from core.users u where u.clerk_user_id = $1 and u.kind = 'client'";

/// Holds a person and reads the account; `None` where it is gone.
pub(crate) async fn hold(tx: &Tx, user_id: &str) -> Result<Option<Account>, db::Error> {
    let rows = tx.pipeline(&[(HOLD, &[&user_id]), (FIND, &[&user_id])]).await?;
    let found = rows.last().and_then(|rows| rows.first());
    found.map(from_row).transpose()
}

pub(crate) fn from_row(row: &Row) -> Result<Account, db::Error> {
    let kind = Kind::parse(row.try_get("kind")?);
    Ok(Account {
        user_id: row.try_get("user_id")?,
        kind: kind.ok_or_else(|| db::Error::Row("users.kind is no kind".to_owned()))?,
        username: row.try_get("username")?,
        email: row.try_get("email")?,
        is_active: row.try_get("is_active")?,
        password_hash: row.try_get("password_hash")?,
        now: row.try_get("now")?,
    })
}

/// Gives a person a password, in place of the one they have.
pub(crate) async fn put(tx: &Tx, user_id: &str, password_hash: &str) -> Result<(), db::Error> {
    tx.execute(
        "insert into core.credentials (user_id, password_hash) values ($1, $2)
         on conflict (user_id) do update set password_hash = excluded.password_hash, updated_at = now()",
        &[&user_id, &password_hash],
    )
    .await?;
    Ok(())
}
