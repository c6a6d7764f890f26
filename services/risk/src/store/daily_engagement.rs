//! `risk.daily_engagement`.

use common::contracts::MessageCreated;
use db::Tx;

/// Counts messages on their days. The inbox sees to it that none is counted twice.
pub(crate) async fn add(tx: &Tx, messages: &[MessageCreated]) -> Result<(), db::Error> {
    if messages.is_empty() {
        return Ok(());
    }
    tx.execute(
        ADD,
        &[
            &messages.iter().map(|m| m.user_id.as_str()).collect::<Vec<_>>(),
            &messages.iter().map(|m| m.timestamp).collect::<Vec<_>>(),
        ],
    )
    .await?;
    Ok(())
}

// The join leaves out who was erased before the event came; the order keeps two replicas from a deadlock.
const ADD: &str = "
    insert into risk.daily_engagement as e (user_id, day, messages, last_message_at)
    select u.user_id, (n.timestamp at time zone 'UTC')::date as day, count(*)::int4, max(n.timestamp)
    from unnest($1::varchar[], $2::timestamptz[]) as n (user_id, timestamp)
    join core.users u on u.user_id = n.user_id
    group by u.user_id, day
    order by u.user_id, day
    on conflict (user_id, day) do update
    set messages = e.messages + excluded.messages,
        last_message_at = greatest(e.last_message_at, excluded.last_message_at)";
