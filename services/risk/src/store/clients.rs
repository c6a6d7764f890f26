//! `core.users`, as far as this service sees it.

use db::Tx;

/// Whether the caller sees a client for a crisis alone; no row where there is none, or not for them. `$1` the client.
pub(crate) const SEES: &str = "
    select u.user_id = any (array(select core.crisis_clients())) as in_crisis_only
    from core.users u
    where u.user_id = $1 and u.kind = 'client'";

/// Whether the transaction sees a client, and for more than a crisis: what is said of the risk of a client is not for
/// whoever happens to be on call.
pub(crate) async fn are_cared_for(tx: &Tx, user_id: &str) -> Result<bool, db::Error> {
    let row = tx.query_opt(SEES, &[&user_id]).await?;
    let in_crisis_only = row
        .map(|row| row.try_get::<_, bool>("in_crisis_only"))
        .transpose()?;
    Ok(in_crisis_only == Some(false))
}
