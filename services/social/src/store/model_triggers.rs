//! `social.model_triggers`: predictions of risk models that have opened or joined an escalation.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use db::Tx;

/// Remembers predictions (id and client); returns those that had triggered nothing yet, of clients who are there.
pub(crate) async fn claim(
    tx: &Tx,
    predictions: &[(i64, &str)],
    now: Option<DateTime<Utc>>,
) -> Result<HashSet<i64>, db::Error> {
    if predictions.is_empty() {
        return Ok(HashSet::new());
    }
    let sql = "
        insert into social.model_triggers (prediction_id, user_id, triggered_at)
        select distinct on (n.prediction_id) n.prediction_id, p.user_id, coalesce($3::timestamptz, now())
        from unnest($1::int8[], $2::varchar[]) as n (prediction_id, user_id)
        join social.user_risk_profiles p on p.user_id = n.user_id
        order by n.prediction_id
        on conflict (prediction_id) do nothing
        returning prediction_id";
    let ids: Vec<i64> = predictions.iter().map(|(id, _)| *id).collect();
    let users: Vec<&str> = predictions.iter().map(|(_, user)| *user).collect();
    let rows = tx.query(sql, &[&ids, &users, &now]).await?;
    rows.iter().map(|row| Ok(row.try_get("prediction_id")?)).collect()
}
