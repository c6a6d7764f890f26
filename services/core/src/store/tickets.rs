//! `core.sign_in_tickets`: hashes only.

use db::Tx;

use crate::domain::totp::TICKET_MINUTES;

/// Whose a ticket is, while it works. `$1` its hash.
pub(crate) const FIND: &str = "
    select t.user_id from core.sign_in_tickets t join core.users u on u.user_id = t.user_id
    where t.token_hash = $1 and t.used_at is null and t.expires_at > now() and u.status = 'active'";

/// Stores a ticket.
pub(crate) async fn insert(tx: &Tx, hash: &[u8], user_id: &str) -> Result<(), db::Error> {
    tx.execute(
        "insert into core.sign_in_tickets (token_hash, user_id, expires_at)
         values ($1, $2, now() + make_interval(mins => $3))",
        &[&hash, &user_id, &TICKET_MINUTES],
    )
    .await?;
    Ok(())
}

/// Uses a ticket; `false` where it does not work any more.
pub(crate) async fn take(tx: &Tx, hash: &[u8]) -> Result<bool, db::Error> {
    let taken = tx
        .execute(
            "update core.sign_in_tickets t set used_at = now()
             where t.token_hash = $1 and t.used_at is null and t.expires_at > now()",
            &[&hash],
        )
        .await?;
    Ok(taken > 0)
}

/// Ends every ticket of a person.
pub(crate) async fn end(tx: &Tx, user_id: &str) -> Result<(), db::Error> {
    tx.execute(
        "update core.sign_in_tickets t set used_at = now() where t.user_id = $1 and t.used_at is null",
        &[&user_id],
    )
    .await?;
    Ok(())
}
