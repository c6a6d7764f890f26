//! `core.access_tokens`: hashes only.

use chrono::{DateTime, Utc};
use db::{Row, Tx};
use uuid::Uuid;

/// Who a token is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Holder<'a> {
    /// A person.
    User(&'a str),
    /// A program.
    Program(&'a str),
}

/// A token that is about to be stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewToken<'a> {
    pub(crate) hash: &'a [u8],
    pub(crate) holder: Holder<'a>,
    /// Empty: all that the holder may.
    pub(crate) scopes: &'a [String],
    pub(crate) lasts_seconds: i32,
    /// The sign-in that it belongs to and ends with; none of a token that stands alone.
    pub(crate) family: Option<Uuid>,
}

/// Stores a token; returns when it ends, and `None` where there is no such holder.
pub(crate) async fn insert(tx: &Tx, token: NewToken<'_>) -> Result<Option<DateTime<Utc>>, db::Error> {
    let (user, program) = split(token.holder);
    let row = tx
        .query_opt(
            "insert into core.access_tokens (token_hash, family, subject, client_id, scopes, expires_at)
             select $1, $6, $2::varchar, $3::varchar, $4, now() + $5::integer * interval '1 second'
             where exists (select from core.users u where u.user_id = $2)
                or exists (select from core.api_clients c where c.client_id = $3)
             returning expires_at",
            &[
                &token.hash,
                &user,
                &program,
                &token.scopes,
                &token.lasts_seconds,
                &token.family,
            ],
        )
        .await?;
    row.map(|row| Ok(row.try_get("expires_at")?)).transpose()
}

/// Revokes what a holder has; returns how many tokens that were.
pub(crate) async fn revoke_of(tx: &Tx, holder: Holder<'_>) -> Result<u64, db::Error> {
    let (user, program) = split(holder);
    tx.execute(
        "update core.access_tokens t set revoked_at = now()
         where (t.subject = $1 or t.client_id = $2) and t.revoked_at is null and t.expires_at > now()",
        &[&user, &program],
    )
    .await
}

/// Revokes one token; returns how many that were.
pub(crate) async fn revoke(tx: &Tx, hash: &[u8]) -> Result<u64, db::Error> {
    tx.execute(
        "update core.access_tokens t set revoked_at = now()
         where t.token_hash = $1 and t.revoked_at is null and t.expires_at > now()",
        &[&hash],
    )
    .await
}

/// Whose each of these tokens is, of those that will work for a day and longer.
pub(crate) async fn holders(tx: &Tx, hashes: &[Vec<u8>]) -> Result<Vec<(Vec<u8>, String)>, db::Error> {
    let rows = tx
        .query(
            "select n.token_hash, a.principal_id
             from unnest($1::bytea[]) as n (token_hash)
             cross join lateral core.authenticate(n.token_hash) as a
             where a.expires_at > now() + interval '1 day'",
            &[&hashes],
        )
        .await?;
    rows.iter()
        .map(|row| Ok((row.try_get("token_hash")?, row.try_get("principal_id")?)))
        .collect()
}

/// A token that is valid.
#[derive(Clone, Debug)]
pub(crate) struct Active {
    pub(crate) principal_id: String,
    /// The program it was given to, where it was one.
    pub(crate) client_id: Option<String>,
    pub(crate) scopes: Vec<String>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) expires_at: DateTime<Utc>,
}

/// The token of a hash (`$1`), where it is valid.
pub(crate) const ACTIVE: &str = "
    select a.principal_id, t.client_id, t.scopes, t.created_at, t.expires_at
    from core.access_tokens t cross join lateral core.authenticate(t.token_hash) as a
    where t.token_hash = $1";

pub(crate) fn active_from_row(row: &Row) -> Result<Active, db::Error> {
    Ok(Active {
        principal_id: row.try_get("principal_id")?,
        client_id: row.try_get("client_id")?,
        scopes: row.try_get("scopes")?,
        created_at: row.try_get("created_at")?,
        expires_at: row.try_get("expires_at")?,
    })
}

fn split(holder: Holder<'_>) -> (Option<&str>, Option<&str>) {
    match holder {
        Holder::User(id) => (Some(id), None),
        Holder::Program(id) => (None, Some(id)),
    }
}
