//! `core.webhook_receipts`: which webhooks were applied.

use db::Tx;

/// How long a receipt is kept, in days. Senders give up after a few.
const KEPT_DAYS: i32 = 30;
/// Old receipts that one new one takes along, so that the table stays as small as it is busy.
const MAX_FORGOTTEN: i64 = 100;

/// Notes a webhook; `false` where it was applied before. Leaves the removal of old ones to the commit.
pub(crate) async fn note(tx: &Tx, webhook_id: &str) -> Result<bool, db::Error> {
    let noted = tx
        .execute(
            "insert into core.webhook_receipts (webhook_id) values ($1) on conflict (webhook_id) do nothing",
            &[&webhook_id],
        )
        .await?;
    tx.at_commit(
        "delete from core.webhook_receipts r where r.webhook_id in (
             select o.webhook_id from core.webhook_receipts o
             where o.received_at < now() - make_interval(days => $1)
             order by o.received_at limit $2 for update skip locked)",
        vec![Box::new(KEPT_DAYS), Box::new(MAX_FORGOTTEN)],
    );
    Ok(noted > 0)
}
