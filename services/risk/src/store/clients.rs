//! `core.users`, as far as this service sees it.

use chrono::{DateTime, Utc};
use db::Tx;

/// Whether the caller sees a client for a crisis alone; no row where there is none, or not for them. `$1` the client.
pub(crate) const SEES: &str = "
    select u.user_id = any (array(select core.crisis_clients())) as in_crisis_only
    from core.users u
    where u.user_id = $1 and u.kind = 'client'";

/// Which of these are clients. `$1` ids.
pub(crate) const OF_IDS: &str =
    "select u.user_id from core.users u where u.user_id = any ($1) and u.kind = 'client'";

/// Whether the transaction sees a client, and for more than a crisis: what is said of the risk of a client is not for
/// whoever happens to be on call.
pub(crate) async fn are_cared_for(tx: &Tx, user_id: &str) -> Result<bool, db::Error> {
    let row = tx.query_opt(SEES, &[&user_id]).await?;
    let in_crisis_only = row
        .map(|row| row.try_get::<_, bool>("in_crisis_only"))
        .transpose()?;
    Ok(in_crisis_only == Some(false))
}

/// The time that this transaction goes by.
pub(crate) const CLOCK: &str = "select coalesce($1::timestamptz, clock_timestamp()) as now";

/// As [`CLOCK`].
pub(crate) async fn clock(tx: &Tx, now: Option<DateTime<Utc>>) -> Result<DateTime<Utc>, db::Error> {
    Ok(tx.query_one(CLOCK, &[&now]).await?.try_get("now")?)
}
