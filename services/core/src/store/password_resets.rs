//! `core.password_resets`: hashes only.

use db::Tx;

use crate::domain::password_reset::{LASTS_MINUTES, PAUSE_MINUTES};
use crate::domain::user::Kind;

/// The account that a token sets the password of, while it works. `$1` its hash.
pub(crate) const FIND: &str = "
    select u.user_id, u.kind, u.username, u.email, u.status = 'active' as is_active, c.password_hash,
        now() as now
    from core.password_resets p join core.users u on u.user_id = p.user_id
        left join core.credentials c on c.user_id = u.user_id
    where p.token_hash = $1 and p.used_at is null and p.expires_at > now() and u.status = 'active'";

/// For whom a token was made.
pub(crate) struct Owner {
    pub(crate) user_id: String,
    pub(crate) kind: Kind,
    /// The address as the account has it.
    pub(crate) email: String,
}

/// Makes a token for whoever has this address and may sign in, unless one was made a moment ago.
pub(crate) async fn insert(tx: &Tx, email: &str, hash: &[u8]) -> Result<Option<Owner>, db::Error> {
    let row = tx
        .query_opt(
            "with person as materialized (
                select u.user_id, u.kind, u.email from core.users u
                where lower(u.email) = lower($1) and u.status = 'active'
                for update),
             made as (
                insert into core.password_resets (token_hash, user_id, expires_at)
                select $2, p.user_id, now() + make_interval(mins => $3) from person p
                where not exists (select from core.password_resets r
                    where r.user_id = p.user_id and r.created_at > now() - make_interval(mins => $4))
                returning user_id)
             select p.user_id, p.kind, p.email from person p join made m on m.user_id = p.user_id",
            &[&email, &hash, &LASTS_MINUTES, &PAUSE_MINUTES],
        )
        .await?;
    let owner = |row: db::Row| {
        let kind = Kind::parse(row.try_get("kind")?);
        Ok(Owner {
            user_id: row.try_get("user_id")?,
            kind: kind.ok_or_else(|| db::Error::Row("users.kind is no kind".to_owned()))?,
            email: row.try_get("email")?,
        })
    };
    row.map(owner).transpose()
}

/// Uses a token; `false` where it does not work any more.
pub(crate) async fn take(tx: &Tx, hash: &[u8]) -> Result<bool, db::Error> {
    let taken = tx
        .execute(
            "update core.password_resets p set used_at = now()
             where p.token_hash = $1 and p.used_at is null and p.expires_at > now()",
            &[&hash],
        )
        .await?;
    Ok(taken > 0)
}

/// Ends every token of a person.
pub(crate) async fn end(tx: &Tx, user_id: &str) -> Result<(), db::Error> {
    tx.execute(
        "update core.password_resets p set used_at = now() where p.user_id = $1 and p.used_at is null",
        &[&user_id],
    )
    .await?;
    Ok(())
}

/// Forgets a token that reached nobody.
pub(crate) async fn forget(tx: &Tx, hash: &[u8]) -> Result<(), db::Error> {
    tx.execute(
        "delete from core.password_resets p where p.token_hash = $1",
        &[&hash],
    )
    .await?;
    Ok(())
}
