//! `core.access_tokens`: hashes only.

use chrono::{DateTime, Utc};
use db::Tx;

/// Who a token is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Holder<'a> {
    /// A person.
    User(&'a str),
    /// A program.
    Program(&'a str),
}

/// Stores a token of so many days; `None` where there is no such holder.
pub(crate) async fn insert(
    tx: &Tx,
    hash: &[u8],
    holder: Holder<'_>,
    days: i32,
) -> Result<Option<DateTime<Utc>>, db::Error> {
    let (user, program) = split(holder);
    let row = tx
        .query_opt(
            "insert into core.access_tokens (token_hash, subject, client_id, expires_at)
             select $1, $2::varchar, $3::varchar, now() + make_interval(days => $4)
             where exists (select from core.users u where u.user_id = $2)
                or exists (select from core.api_clients c where c.client_id = $3)
             returning expires_at",
            &[&hash, &user, &program, &days],
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

fn split(holder: Holder<'_>) -> (Option<&str>, Option<&str>) {
    match holder {
        Holder::User(id) => (Some(id), None),
        Holder::Program(id) => (None, Some(id)),
    }
}
