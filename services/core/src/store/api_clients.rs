//! `core.api_clients`: the programs that call.

use db::Tx;

/// Registers a program or renames it; `false` where the id belongs to one of another kind.
pub(crate) async fn register(tx: &Tx, client_id: &str, kind: &str, name: &str) -> Result<bool, db::Error> {
    let touched = tx
        .execute(
            "insert into core.api_clients as c (client_id, kind, name) values ($1, $2, $3)
             on conflict (client_id) do update set name = excluded.name where c.kind = excluded.kind",
            &[&client_id, &kind, &name],
        )
        .await?;
    Ok(touched > 0)
}
