//! `core.recovery_codes`: hashes only.

use db::Tx;

/// Gives a person new codes in place of those they have.
pub(crate) async fn replace(tx: &Tx, user_id: &str, hashes: &[Vec<u8>]) -> Result<(), db::Error> {
    tx.pipeline(&[
        (
            "delete from core.recovery_codes r where r.user_id = $1",
            &[&user_id],
        ),
        (
            "insert into core.recovery_codes (user_id, code_hash)
             select $1, n.hash from unnest($2::bytea[]) as n (hash)",
            &[&user_id, &hashes],
        ),
    ])
    .await?;
    Ok(())
}

/// Uses a code; `false` where the person has none such, or has used it.
pub(crate) async fn take(tx: &Tx, user_id: &str, hash: &[u8]) -> Result<bool, db::Error> {
    let taken = tx
        .execute(
            "update core.recovery_codes r set used_at = now()
             where r.user_id = $1 and r.code_hash = $2 and r.used_at is null",
            &[&user_id, &hash],
        )
        .await?;
    Ok(taken > 0)
}
