//! `core.messages`.

use chrono::{DateTime, Utc};
use common::{ConversationType, SenderRole};
use db::{Row, Tx};
use serde_json::Value;
use uuid::Uuid;

use super::word;
use crate::domain::message::NewMessage;

/// A message as it is read.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) message_id: i64,
    pub(crate) user_id: String,
    pub(crate) message_text: String,
    pub(crate) timestamp: DateTime<Utc>,
    pub(crate) conversation_type: ConversationType,
    pub(crate) sender_role: SenderRole,
    pub(crate) recipient_id: Option<String>,
    pub(crate) metadata: Option<Value>,
}

/// Which way a history is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// From the newest to older ones.
    Newest,
    /// From the oldest to newer ones.
    Oldest,
}

impl Order {
    /// How a row compares with the one before it, and the order, in SQL.
    fn sql(self) -> (&'static str, &'static str) {
        match self {
            Self::Newest => ("<", "desc"),
            Self::Oldest => (">", "asc"),
        }
    }
}

/// One client's messages; no row where the client is not seen, and one without a message where there is none. Who sees
/// the client for a crisis alone gets no more than the last 20. `$1` client, `$2` whether the caller's roles allow the
/// last 20 only, `$3` conversation type or null, `$4` and `$5` the row to go on behind, `$6` limit. The first page goes on
/// behind the greatest or the least values: under row-level security only bare parameters reach the index. The order is
/// that of the inner query: there is one person.
pub(crate) fn history_sql(order: Order) -> String {
    let (follows, direction) = order.sql();
    format!(
        "with person as (
            select u.user_id, $2 or u.user_id = any (array(select core.crisis_clients())) as limited
            from core.users u
            where u.user_id = $1 and u.kind = 'client')
         select p.limited, m.message_id, p.user_id, m.message_text, m.timestamp, m.conversation_type, m.sender_role,
            m.recipient_id, m.metadata
         from person p
         left join lateral (
            select h.message_id, h.message_text, h.timestamp, h.conversation_type, h.sender_role, h.recipient_id,
                h.metadata
            from core.messages h
            where h.user_id = $1 and ($3::varchar is null or h.conversation_type = $3)
              and (h.timestamp, h.message_id) {follows} ($4, $5)
              and (not p.limited or h.message_id in (
                select l.message_id from core.messages l where l.user_id = $1
                order by l.timestamp desc, l.message_id desc limit 20))
            order by h.timestamp {direction}, h.message_id {direction}
            limit $6) as m on true"
    )
}

/// The messages of one thread, as [`history_sql`] gives a client's, but none to who sees the client for a crisis alone.
/// `$1` client, `$2` role, `$3` thread, `$4` and `$5` the row to go on behind, `$6` limit.
pub(crate) fn thread_history_sql(order: Order) -> String {
    let (follows, direction) = order.sql();
    format!(
        "with thread as (
            select t.id, t.user_id
            from core.chat_threads t
            where t.user_id = $1 and t.role = $2 and t.thread_id = $3
              and t.user_id <> all (array(select core.crisis_clients())))
         select false as limited, m.message_id, t.user_id, m.message_text, m.timestamp, m.conversation_type,
            m.sender_role, m.recipient_id, m.metadata
         from thread t
         left join lateral (
            select h.message_id, h.message_text, h.timestamp, h.conversation_type, h.sender_role, h.recipient_id,
                h.metadata
            from core.messages h
            where h.thread_pk = t.id and (h.timestamp, h.message_id) {follows} ($4, $5)
            order by h.timestamp {direction}, h.message_id {direction}
            limit $6) as m on true"
    )
}

/// One message; of a client who is seen for a crisis alone only if it is among the last 20. `$1` its id, `$2` whether
/// the caller's roles allow the last 20 only, `$3` whether to tell what models and reviewers said of it, which nobody is
/// told of a client in a crisis.
pub(crate) const FIND: &str = "
    select m.message_id, m.user_id, m.message_text, m.timestamp, m.conversation_type, m.sender_role, m.recipient_id,
        m.metadata, (select to_jsonb(a) from core.message_ai_metadata a
            where $3 and a.message_id = m.message_id and a.user_id <> all (array(select core.crisis_clients()))) as ai
    from core.messages m
    where m.message_id = $1 and m.user_id is not null
      and (not ($2 or m.user_id = any (array(select core.crisis_clients()))) or m.message_id in (
        select l.message_id from core.messages l where l.user_id = m.user_id
        order by l.timestamp desc, l.message_id desc limit 20))";

pub(crate) fn from_row(row: &Row) -> Result<Message, db::Error> {
    Ok(Message {
        message_id: row.try_get("message_id")?,
        user_id: row.try_get("user_id")?,
        message_text: row.try_get("message_text")?,
        timestamp: row.try_get("timestamp")?,
        conversation_type: word(row, "conversation_type")?,
        sender_role: word(row, "sender_role")?,
        recipient_id: row.try_get("recipient_id")?,
        metadata: row.try_get("metadata")?,
    })
}

/// The rows of [`history_sql`] or [`thread_history_sql`]: whether the caller gets the last 20 only, and the messages;
/// `None` where the client or the thread is not seen.
pub(crate) fn history(rows: &[Row]) -> Result<Option<(bool, Vec<Message>)>, db::Error> {
    let messages = super::listed::<i64, _>(rows, "message_id", from_row)?;
    rows.first()
        .zip(messages)
        .map(|(first, messages)| Ok((first.try_get("limited")?, messages)))
        .transpose()
}

/// What storing a message gave it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stored {
    pub(crate) message_id: i64,
    pub(crate) timestamp: DateTime<Utc>,
}

/// Stores messages, each with the role it was given and the row of its thread; returns what became of them in the order
/// given.
pub(crate) async fn insert(
    tx: &Tx,
    request_id: &str,
    messages: &[(NewMessage, SenderRole, Option<Uuid>)],
) -> Result<Vec<Stored>, db::Error> {
    // Ids are drawn in the order of the ordinality, and returned sorted: the n-th is that of the n-th message.
    let rows = tx
        .query(
            "with stored as (
                insert into core.messages (user_id, message_text, timestamp, conversation_type, sender_role,
                    recipient_id, metadata, request_id, thread_pk)
                select n.user_id, n.message_text, coalesce(n.timestamp, now()), n.conversation_type, n.sender_role,
                    n.recipient_id, n.metadata, $8, n.thread_pk
                from unnest($1::varchar[], $2::text[], $3::timestamptz[], $4::varchar[], $5::varchar[],
                    $6::varchar[], $7::jsonb[], $9::uuid[]) with ordinality
                    as n (user_id, message_text, timestamp, conversation_type, sender_role, recipient_id, metadata,
                        thread_pk, position)
                order by n.position
                returning message_id, timestamp)
            select message_id, timestamp from stored order by message_id",
            &[
                &messages.iter().map(|(message, _, _)| message.user_id.as_str()).collect::<Vec<_>>(),
                &messages.iter().map(|(message, _, _)| message.message_text.as_str()).collect::<Vec<_>>(),
                &messages.iter().map(|(message, _, _)| message.timestamp).collect::<Vec<_>>(),
                &messages.iter().map(|(message, _, _)| message.conversation_type.as_str()).collect::<Vec<_>>(),
                &messages.iter().map(|(_, role, _)| role.as_str()).collect::<Vec<_>>(),
                &messages.iter().map(|(message, _, _)| message.recipient_id.as_deref()).collect::<Vec<_>>(),
                &messages.iter().map(|(message, _, _)| message.metadata.as_ref()).collect::<Vec<_>>(),
                &request_id,
                &messages.iter().map(|(_, _, thread)| *thread).collect::<Vec<_>>(),
            ],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Stored {
                message_id: row.try_get("message_id")?,
                timestamp: row.try_get("timestamp")?,
            })
        })
        .collect()
}

/// A message whose term is over, with what names its people.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) message_id: i64,
    pub(crate) user_id: String,
    pub(crate) thread: Option<EndedIn>,
    pub(crate) message_text: String,
    pub(crate) names: Vec<String>,
}

/// The thread of such a message.
#[derive(Clone, Debug)]
pub(crate) struct EndedIn {
    pub(crate) id: Uuid,
    pub(crate) role: String,
    pub(crate) thread_id: String,
}

/// Locks some whose term is over, oldest first, with their clients, as whoever writes or deletes messages locks them: what
/// somebody works on is left for the next round. `$1` limit, `$2` days.
pub(crate) const LOCK_ENDED: &str = "
    select m.message_id, m.user_id, t.id, t.role, t.thread_id, m.message_text,
        array_remove(array[u.user_id, u.username, u.email, u.full_name, u.display_name, u.phone, u.external_id,
            r.user_id, r.username, r.email, r.full_name, r.display_name, r.phone, r.external_id], null) as names
    from core.messages m
    join core.users u on u.user_id = m.user_id
    left join core.users r on r.user_id = m.recipient_id
    left join core.chat_threads t on t.id = m.thread_pk
    where m.anonymized_at is null and m.timestamp < now() - make_interval(days => $2)
    order by m.timestamp
    limit $1
    for no key update of u skip locked
    for update of m skip locked";

/// Runs [`LOCK_ENDED`].
pub(crate) async fn lock_ended(tx: &Tx, limit: i64, days: i32) -> Result<Vec<Ended>, db::Error> {
    let rows = tx.query(LOCK_ENDED, &[&limit, &days]).await?;
    let ended = |row: &Row| {
        let id: Option<Uuid> = row.try_get("id")?;
        let thread = id.map(|id| {
            Ok::<_, db::Error>(EndedIn {
                id,
                role: row.try_get("role")?,
                thread_id: row.try_get("thread_id")?,
            })
        });
        Ok(Ended {
            message_id: row.try_get("message_id")?,
            user_id: row.try_get("user_id")?,
            thread: thread.transpose()?,
            message_text: row.try_get("message_text")?,
            names: row.try_get("names")?,
        })
    };
    rows.iter().map(ended).collect()
}

/// Makes messages nobody's that are locked, each with another text: nothing leads to a person any more, also of what models
/// and reviewers said of them.
pub(crate) async fn anonymize(tx: &Tx, message_ids: &[i64], texts: &[String]) -> Result<(), db::Error> {
    let said =
        "update core.message_ai_metadata a
        set user_id = null, context_snapshot = null, mistake_note = null, provider_fallback_reason = null, reviewed_by = null
        where a.message_id = any ($1)";
    let messages = "update core.messages m
        set user_id = null, recipient_id = null, thread_pk = null, answers = null, request_id = null, metadata = null,
            message_text = n.message_text, anonymized_at = now()
        from unnest($1::int8[], $2::text[]) as n (message_id, message_text)
        where m.message_id = n.message_id";
    tx.pipeline(&[(said, &[&message_ids]), (messages, &[&message_ids, &texts])])
        .await?;
    Ok(())
}
