//! `causal.daily_risk`.

use chrono::{DateTime, Utc};
use common::Probability;
use db::Tx;

/// The score of one prediction.
pub(crate) struct Score<'a> {
    pub(crate) user_id: &'a str,
    pub(crate) message_timestamp: DateTime<Utc>,
    pub(crate) risk_score: Probability,
}

/// Adds scores to the days of their messages. The inbox sees to it that none is added twice.
pub(crate) async fn add(tx: &Tx, scores: &[Score<'_>]) -> Result<(), db::Error> {
    tx.execute(
        ADD,
        &[
            &scores.iter().map(|s| s.user_id).collect::<Vec<_>>(),
            &scores.iter().map(|s| s.message_timestamp).collect::<Vec<_>>(),
            &scores
                .iter()
                .map(|s| i64::from(s.risk_score.micros()))
                .collect::<Vec<_>>(),
        ],
    )
    .await?;
    Ok(())
}

// The join leaves out who was erased before the event came; the order keeps two replicas from a deadlock.
const ADD: &str = "
    insert into causal.daily_risk as r (user_id, day, predictions, risk_score_sum_millionths)
    select u.user_id, (n.message_timestamp at time zone 'UTC')::date as day, count(*)::int4, sum(n.millionths)::int8
    from unnest($1::varchar[], $2::timestamptz[], $3::int8[]) as n (user_id, message_timestamp, millionths)
    join core.users u on u.user_id = n.user_id
    group by u.user_id, day
    order by u.user_id, day
    on conflict (user_id, day) do update
    set predictions = r.predictions + excluded.predictions,
        risk_score_sum_millionths = r.risk_score_sum_millionths + excluded.risk_score_sum_millionths";
