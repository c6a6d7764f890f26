//! The labels of `risk.model_predictions`: what became of what was predicted. The rule is `risk.settle_labels`.

use chrono::{DateTime, Utc};
use db::Tx;

/// Settles the labels of a client's predictions whose horizon holds this time; how many changed. No horizon is longer than
/// 365 days.
pub(crate) async fn settle_around(
    tx: &Tx,
    user_id: &str,
    at: DateTime<Utc>,
    now: Option<DateTime<Utc>>,
) -> Result<i64, db::Error> {
    let sql = "
        select risk.settle_labels(array(
            select p.prediction_id
            from risk.model_predictions p
            where p.user_id = $1 and p.predicted_at < $2 and p.predicted_at >= $2 - interval '365 days'
                and p.predicted_at + p.horizon_days * interval '1 day' >= $2),
            coalesce($3::timestamptz, now())) as settled";
    let row = tx.query_one(sql, &[&user_id, &at, &now]).await?;
    Ok(row.try_get("settled")?)
}

/// Locks predictions whose horizon has passed, longest ago first; leaves those that somebody works on.
pub(crate) async fn lock_due(tx: &Tx, now: Option<DateTime<Utc>>, limit: i64) -> Result<Vec<i64>, db::Error> {
    let sql = "
        select p.prediction_id
        from risk.model_predictions p
        where p.label_due_at <= coalesce($1::timestamptz, now())
        order by p.label_due_at
        limit $2
        for no key update of p skip locked";
    let due = tx.query(sql, &[&now, &limit]).await?;
    due.iter().map(|row| Ok(row.try_get("prediction_id")?)).collect()
}

/// Settles the labels of locked predictions.
pub(crate) async fn settle(
    tx: &Tx,
    prediction_ids: &[i64],
    now: Option<DateTime<Utc>>,
) -> Result<(), db::Error> {
    let sql = "select risk.settle_labels($1, coalesce($2::timestamptz, now())) as settled";
    tx.query_one(sql, &[&prediction_ids, &now]).await?;
    Ok(())
}
