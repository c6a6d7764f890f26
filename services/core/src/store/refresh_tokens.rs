//! `core.refresh_tokens`: hashes only, and the access tokens of their families.

use chrono::{DateTime, Utc};
use db::{Row, Tx};
use uuid::Uuid;

use crate::domain::sign_in::Standing;
use crate::domain::user::Kind;

/// A token as it is found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) family: Uuid,
    pub(crate) subject: String,
    pub(crate) kind: Kind,
    pub(crate) standing: Standing,
    pub(crate) now: DateTime<Utc>,
}

/// A token and the access token beside it, about to be stored.
#[derive(Clone, Debug)]
pub(crate) struct Pair<'a> {
    pub(crate) subject: &'a str,
    pub(crate) family: Uuid,
    pub(crate) parent: Option<&'a [u8]>,
    pub(crate) refresh: (Vec<u8>, DateTime<Utc>),
    pub(crate) access: (Vec<u8>, DateTime<Utc>),
}

/// Holds the sign-ins of a token's person, as [`super::credentials::HOLD`] does. `$1` the token's hash.
pub(crate) const HOLD: &str = "
    select pg_advisory_xact_lock(hashtextextended('core.sign_in|' || r.subject, 0))
    from core.refresh_tokens r where r.token_hash = $1";

/// A token and its person. `$1` its hash.
pub(crate) const FIND: &str = "
    select r.family, r.subject, r.expires_at, r.used_at is not null as is_used, r.revoked_at is not null as is_revoked,
        u.kind, u.status = 'active' as is_active, now() as now
    from core.refresh_tokens r join core.users u on u.user_id = r.subject
    where r.token_hash = $1";

pub(crate) fn from_row(row: &Row) -> Result<Found, db::Error> {
    let kind = Kind::parse(row.try_get("kind")?);
    Ok(Found {
        family: row.try_get("family")?,
        subject: row.try_get("subject")?,
        kind: kind.ok_or_else(|| db::Error::Row("users.kind is no kind".to_owned()))?,
        standing: Standing {
            expires_at: row.try_get("expires_at")?,
            is_used: row.try_get("is_used")?,
            is_revoked: row.try_get("is_revoked")?,
            is_active: row.try_get("is_active")?,
        },
        now: row.try_get("now")?,
    })
}

/// Stores a pair, and marks the token that it was given for as used.
pub(crate) async fn insert(tx: &Tx, pair: &Pair<'_>) -> Result<(), db::Error> {
    tx.pipeline(&[
        (
            "update core.refresh_tokens r set used_at = now() where r.token_hash = $1",
            &[&pair.parent],
        ),
        (
            "insert into core.refresh_tokens (token_hash, family, parent, subject, expires_at)
             values ($1, $2, $3, $4, $5)",
            &[
                &pair.refresh.0,
                &pair.family,
                &pair.parent,
                &pair.subject,
                &pair.refresh.1,
            ],
        ),
        (
            "insert into core.access_tokens (token_hash, family, subject, expires_at) values ($1, $2, $3, $4)",
            &[&pair.access.0, &pair.family, &pair.subject, &pair.access.1],
        ),
    ])
    .await?;
    Ok(())
}

/// Ends a sign-in: none of its tokens works any more.
pub(crate) async fn revoke_family(tx: &Tx, family: Uuid) -> Result<(), db::Error> {
    tx.pipeline(&[
        (
            "update core.refresh_tokens r set revoked_at = now() where r.family = $1 and r.revoked_at is null",
            &[&family],
        ),
        (
            "update core.access_tokens t set revoked_at = now() where t.family = $1 and t.revoked_at is null",
            &[&family],
        ),
    ])
    .await?;
    Ok(())
}

/// Ends all sign-ins of a person but one.
pub(crate) async fn revoke_of(tx: &Tx, subject: &str, but: Option<Uuid>) -> Result<(), db::Error> {
    tx.pipeline(&[
        (
            "update core.refresh_tokens r set revoked_at = now()
             where r.subject = $1 and r.family is distinct from $2 and r.revoked_at is null",
            &[&subject, &but],
        ),
        (
            "update core.access_tokens t set revoked_at = now()
             where t.subject = $1 and t.family is not null and t.family is distinct from $2 and t.revoked_at is null",
            &[&subject, &but],
        ),
    ])
    .await?;
    Ok(())
}

/// The sign-in of an access token; `None` where it has none.
pub(crate) async fn family_of(tx: &Tx, access_hash: &[u8]) -> Result<Option<Uuid>, db::Error> {
    let row = tx
        .query_opt(
            "select t.family from core.access_tokens t where t.token_hash = $1",
            &[&access_hash],
        )
        .await?;
    row.map_or(Ok(None), |row| Ok(row.try_get("family")?))
}
