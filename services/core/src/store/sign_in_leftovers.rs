//! Rows of all tables of signing in that are of no more use. A refresh token is kept until it expires, used or not: until
//! then it may be shown again, and must be known.

use db::{Row, Tx};

/// Rows of one table that go in one round, at most.
const MAX_ROWS: i64 = 1_000;

const TOKENS: &str = "
    with gone as (delete from core.access_tokens t where t.token_hash = any (array(
        select o.token_hash from core.access_tokens o
        where o.expires_at < now() - interval '1 day' limit $1)) returning true)
    select count(*) as gone from gone";
const REFRESH_TOKENS: &str = "
    with gone as (delete from core.refresh_tokens t where t.token_hash = any (array(
        select o.token_hash from core.refresh_tokens o where o.expires_at < now() limit $1)) returning true)
    select count(*) as gone from gone";
const RESETS: &str = "
    with gone as (delete from core.password_resets t where t.token_hash = any (array(
        select o.token_hash from core.password_resets o where o.expires_at < now() limit $1)) returning true)
    select count(*) as gone from gone";
const TICKETS: &str = "
    with gone as (delete from core.sign_in_tickets t where t.token_hash = any (array(
        select o.token_hash from core.sign_in_tickets o where o.expires_at < now() limit $1)) returning true)
    select count(*) as gone from gone";
const FAILURES: &str = "
    with gone as (delete from core.sign_in_failures t where t.subject_hash = any (array(
        select o.subject_hash from core.sign_in_failures o
        where o.updated_at < now() - interval '1 day' and (o.blocked_until is null or o.blocked_until < now())
          and now() > all (o.under_way)
        limit $1)) returning true)
    select count(*) as gone from gone";

/// Deletes some; returns how many.
pub(crate) async fn delete(tx: &Tx) -> Result<u64, db::Error> {
    let params: db::Params<'_> = &[&MAX_ROWS];
    let statements = [TOKENS, REFRESH_TOKENS, RESETS, TICKETS, FAILURES].map(|sql| (sql, params));
    let rows = tx.pipeline(&statements).await?;
    let gone = |row: &Row| -> Result<i64, db::Error> { Ok(row.try_get("gone")?) };
    let counts: Vec<i64> = rows.iter().flatten().map(gone).collect::<Result<_, _>>()?;
    Ok(u64::try_from(counts.iter().sum::<i64>()).unwrap_or_default())
}
