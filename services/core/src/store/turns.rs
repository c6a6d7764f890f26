//! Turns in `core.messages`: a client's message, and the reply that answers it.

use db::{Row, Tx};
use uuid::Uuid;

use super::messages::Stored;
use crate::domain::thread::{NewTurn, Turn};

/// Stores the two messages of a turn in a thread of this client, which is held. Time goes on while the thread is waited
/// for: of two turns the later one has the later time, unless the sender says when they were.
pub(crate) async fn insert(
    tx: &Tx,
    (thread, user_id): (Uuid, &str),
    request_id: &str,
    turn: &NewTurn,
) -> Result<[Stored; 2], db::Error> {
    let row = tx
        .query_one(
            "with said as (
                insert into core.messages (user_id, message_text, timestamp, conversation_type, sender_role, metadata,
                    request_id, thread_pk)
                values ($1, $2, coalesce($4, clock_timestamp()), 'assistant', 'user', $5, $6, $7)
                returning message_id, timestamp),
             replied as (
                insert into core.messages (user_id, message_text, timestamp, conversation_type, sender_role, metadata,
                    request_id, thread_pk, answers)
                select $1, $3, s.timestamp, 'assistant', 'assistant', $5, $6, $7, s.message_id from said s
                returning message_id)
             select said.message_id, replied.message_id as reply_id, said.timestamp from said, replied",
            &[
                &user_id,
                &turn.user_message,
                &turn.assistant_reply,
                &turn.timestamp,
                &turn.metadata,
                &request_id,
                &thread,
            ],
        )
        .await?;
    let stored = |id| {
        Ok::<_, db::Error>(Stored {
            message_id: row.try_get(id)?,
            timestamp: row.try_get("timestamp")?,
        })
    };
    Ok([stored("message_id")?, stored("reply_id")?])
}

/// The last turns of a thread behind a reply, latest first. `$1` the thread's row, `$2` the reply, `$3` limit.
pub(crate) const LAST: &str = "
    select s.message_id, r.message_id as reply_id, s.message_text as user_message, r.message_text as assistant_reply,
        r.timestamp
    from core.messages r
    join core.messages s on s.message_id = r.answers
    where r.thread_pk = $1 and r.answers is not null and r.message_id > $2
    order by r.message_id desc
    limit $3";

/// The rows of [`LAST`] as short-term memory holds them, latest last.
pub(crate) fn window(rows: &[Row]) -> Result<Vec<Turn>, db::Error> {
    let turn = |row: &Row| {
        Ok(Turn {
            message_id: row.try_get("message_id")?,
            reply_id: row.try_get("reply_id")?,
            user_message: row.try_get("user_message")?,
            assistant_reply: row.try_get("assistant_reply")?,
            timestamp: row.try_get("timestamp")?,
        })
    };
    rows.iter().rev().map(turn).collect()
}
