//! `core.api_client_secrets`: hashes only.

use chrono::{DateTime, Utc};
use db::{Row, Tx};

use crate::domain::program::{Kind, SECRET_DAYS};

/// Makes room for a new secret: of those that are not revoked the newest goes on working for so many minutes, not
/// beyond its own end, and the one before ends now. The program is locked.
pub(crate) async fn retire(tx: &Tx, client_id: &str, overlap_minutes: i32) -> Result<(), db::Error> {
    tx.execute(
        "update core.api_client_secrets s
         set revoked_at = case when n.is_newest and $2 > 0 then s.revoked_at else now() end,
             expires_at = least(s.expires_at, now() + make_interval(mins => $2))
         from (select o.secret_id, row_number() over (order by o.secret_id desc) = 1 as is_newest
               from core.api_client_secrets o where o.client_id = $1 and o.revoked_at is null) as n
         where s.secret_id = n.secret_id",
        &[&client_id, &overlap_minutes],
    )
    .await?;
    Ok(())
}

/// Stores a secret in the place that is free; returns when it ends. The program is locked or new.
pub(crate) async fn insert(tx: &Tx, client_id: &str, hash: &[u8]) -> Result<DateTime<Utc>, db::Error> {
    let row = tx
        .query_one(
            "insert into core.api_client_secrets (client_id, place, secret_hash, expires_at)
             select $1::varchar, min(p.place), $2::bytea, now() + make_interval(days => $3::integer)
             from (values (1::smallint), (2::smallint)) as p (place)
             where not exists (select from core.api_client_secrets s
                 where s.client_id = $1 and s.place = p.place and s.revoked_at is null)
             returning expires_at",
            &[&client_id, &hash, &SECRET_DAYS],
        )
        .await?;
    Ok(row.try_get("expires_at")?)
}

/// Ends all secrets of a program.
pub(crate) async fn revoke_of(tx: &Tx, client_id: &str) -> Result<(), db::Error> {
    tx.execute(
        "update core.api_client_secrets s set revoked_at = now() where s.client_id = $1 and s.revoked_at is null",
        &[&client_id],
    )
    .await?;
    Ok(())
}

/// A secret that works, with its program.
#[derive(Clone, Debug)]
pub(crate) struct Secret {
    pub(crate) secret_id: i64,
    pub(crate) secret_hash: Vec<u8>,
    pub(crate) kind: Kind,
    pub(crate) scopes: Vec<String>,
}

/// The secrets of a program (`$1`) that work; none where the program is switched off or absent.
pub(crate) const LIVE: &str = "
    select s.secret_id, s.secret_hash, c.kind, c.scopes
    from core.api_clients c join core.api_client_secrets s on s.client_id = c.client_id
    where c.client_id = $1 and c.disabled_at is null and s.revoked_at is null and s.expires_at > now()";

pub(crate) fn from_row(row: &Row) -> Result<Secret, db::Error> {
    let kind = Kind::parse(row.try_get("kind")?);
    Ok(Secret {
        secret_id: row.try_get("secret_id")?,
        secret_hash: row.try_get("secret_hash")?,
        kind: kind.ok_or_else(|| db::Error::Row("api_clients.kind is no kind".to_owned()))?,
        scopes: row.try_get("scopes")?,
    })
}

/// Notes that a secret was used, once a minute at most.
pub(crate) async fn touch(tx: &Tx, secret_id: i64) -> Result<(), db::Error> {
    tx.execute(
        "update core.api_client_secrets s set last_used_at = now()
         where s.secret_id = $1 and (s.last_used_at is null or s.last_used_at < now() - interval '1 minute')",
        &[&secret_id],
    )
    .await?;
    Ok(())
}
