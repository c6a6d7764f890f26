//! `core.totp_secrets`, sealed.

use chrono::{DateTime, Utc};
use db::{Row, Tx};

/// A secret as it is found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) sealed: Vec<u8>,
    pub(crate) is_confirmed: bool,
    pub(crate) last_step: i64,
    pub(crate) now: DateTime<Utc>,
}

/// The secret of a person, locked. `$1` the person.
pub(crate) const LOCK: &str = "
    select t.secret_sealed, t.confirmed_at is not null as is_confirmed, t.last_step, now() as now
    from core.totp_secrets t where t.user_id = $1 for update";

pub(crate) fn from_row(row: &Row) -> Result<Found, db::Error> {
    Ok(Found {
        sealed: row.try_get("secret_sealed")?,
        is_confirmed: row.try_get("is_confirmed")?,
        last_step: row.try_get("last_step")?,
        now: row.try_get("now")?,
    })
}

/// Stores a secret in place of one that nobody has confirmed; `false` where one is confirmed.
pub(crate) async fn put(tx: &Tx, user_id: &str, sealed: &[u8]) -> Result<bool, db::Error> {
    let put = tx
        .execute(
            "insert into core.totp_secrets as t (user_id, secret_sealed) values ($1, $2)
             on conflict (user_id) do update set secret_sealed = excluded.secret_sealed, created_at = now(), last_step = 0
             where t.confirmed_at is null",
            &[&user_id, &sealed],
        )
        .await?;
    Ok(put > 0)
}

/// Whether signing in asks this person for a code.
pub(crate) async fn is_confirmed(tx: &Tx, user_id: &str) -> Result<bool, db::Error> {
    let row = tx
        .query_one(
            "select exists (select from core.totp_secrets t
                where t.user_id = $1 and t.confirmed_at is not null) as is_confirmed",
            &[&user_id],
        )
        .await?;
    Ok(row.try_get("is_confirmed")?)
}

/// Takes the code of a time step, which is then used, as are all before it. The row is locked.
pub(crate) async fn take(tx: &Tx, user_id: &str, step: i64) -> Result<(), db::Error> {
    tx.execute(
        "update core.totp_secrets t set last_step = $2, confirmed_at = coalesce(t.confirmed_at, now())
         where t.user_id = $1",
        &[&user_id, &step],
    )
    .await?;
    Ok(())
}

/// Asks a person for codes no more; `false` where nobody did.
pub(crate) async fn forget(tx: &Tx, user_id: &str) -> Result<bool, db::Error> {
    tx.execute(
        "delete from core.recovery_codes r where r.user_id = $1",
        &[&user_id],
    )
    .await?;
    let forgotten = tx
        .execute(
            "delete from core.totp_secrets t where t.user_id = $1",
            &[&user_id],
        )
        .await?;
    Ok(forgotten > 0)
}
