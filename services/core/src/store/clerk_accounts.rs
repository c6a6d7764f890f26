//! `core.clerk_accounts`: the newest that Clerk said of each account.

use chrono::{DateTime, Utc};
use db::Tx;

/// Notes how an account looks as of a time and holds it until the transaction ends; `false` where something newer was
/// said before, or that it is gone.
pub(crate) async fn advance(
    tx: &Tx,
    account_hash: &[u8],
    said_at: DateTime<Utc>,
    webhook_id: &str,
) -> Result<bool, db::Error> {
    let advanced = tx
        .execute(
            "insert into core.clerk_accounts as a (account_hash, said_at, webhook_id) values ($1, $2, $3)
             on conflict (account_hash) do update
                 set said_at = excluded.said_at, webhook_id = excluded.webhook_id
                 where a.deleted_at is null
                   and (a.said_at, a.webhook_id) < (excluded.said_at, excluded.webhook_id)",
            &[&account_hash, &said_at, &webhook_id],
        )
        .await?;
    Ok(advanced > 0)
}

/// Notes that an account is gone for good; `false` where that was said before.
pub(crate) async fn bury(tx: &Tx, account_hash: &[u8], webhook_id: &str) -> Result<bool, db::Error> {
    let buried = tx
        .execute(
            "insert into core.clerk_accounts as a (account_hash, said_at, webhook_id, deleted_at)
             values ($1, now(), $2, now())
             on conflict (account_hash) do update
                 set said_at = excluded.said_at, webhook_id = excluded.webhook_id, deleted_at = excluded.deleted_at
                 where a.deleted_at is null",
            &[&account_hash, &webhook_id],
        )
        .await?;
    Ok(buried > 0)
}
