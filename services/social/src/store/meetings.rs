//! `social.meetings`.

use chrono::{DateTime, Utc};
use db::Tx;

/// Proposes an urgent meeting to each client, who must agree to it; one that is proposed already is enough.
pub(crate) async fn propose_urgent(tx: &Tx, user_ids: &[&str], now: DateTime<Utc>) -> Result<(), db::Error> {
    if user_ids.is_empty() {
        return Ok(());
    }
    tx.execute(
        "insert into social.meetings (user_id, created_at, meeting_type, status)
         select u.user_id, $2, 'urgent', 'proposed'
         from unnest($1::varchar[]) as u (user_id)
         where not exists (select from social.meetings m
            where m.user_id = u.user_id and m.meeting_type = 'urgent' and m.status = 'proposed')",
        &[&user_ids, &now],
    )
    .await?;
    Ok(())
}
