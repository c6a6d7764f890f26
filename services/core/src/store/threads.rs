//! `core.chat_threads`: conversations of a client with a companion.

use chrono::{DateTime, Utc};
use db::{Row, Tx};
use uuid::Uuid;

use crate::domain::thread::Turn;

/// A thread as it is read.
#[derive(Clone, Debug)]
pub(crate) struct Thread {
    pub(crate) id: Uuid,
    pub(crate) user_id: String,
    pub(crate) role: String,
    pub(crate) thread_id: String,
    pub(crate) title: String,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
    /// The reply of the last turn; 0 before the first one.
    pub(crate) last_turn_id: i64,
    /// Short-term memory holds turns behind this message.
    pub(crate) window_from: i64,
}

/// Where a thread is found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) user_id: &'a str,
    pub(crate) role: &'a str,
    pub(crate) thread_id: &'a str,
}

const COLUMNS: &str = "t.id, t.user_id, t.role, t.thread_id, t.title, t.created_at, t.updated_at,
    coalesce(t.last_turn_id, 0) as last_turn_id, t.window_from";

/// One thread, of a client who is seen as one cared for. `$1` client, `$2` role, `$3` thread.
pub(crate) fn find_sql() -> String {
    format!(
        "select {COLUMNS} from core.chat_threads t
         where t.user_id = $1 and t.role = $2 and t.thread_id = $3
           and t.user_id <> all (array(select core.crisis_clients()))"
    )
}

/// A client's threads, the last active first; no row where the client is not seen as one cared for, and one without an id
/// where there are none. `$1` client, `$2` role or null, `$3` and `$4` the row to go on behind, `$5` limit.
pub(crate) fn list_sql() -> String {
    format!(
        "with person as (
             select u.user_id as seen from core.users u
             where u.user_id = $1 and u.kind = 'client' and u.user_id <> all (array(select core.crisis_clients())))
         select p.seen, l.*
         from person p
         left join lateral (
             select {COLUMNS} from core.chat_threads t
             where t.user_id = $1 and ($2::varchar is null or t.role = $2) and (t.updated_at, t.id) < ($3, $4)
             order by t.updated_at desc, t.id desc
             limit $5) as l on true"
    )
}

pub(crate) fn from_row(row: &Row) -> Result<Thread, db::Error> {
    Ok(Thread {
        id: row.try_get("id")?,
        user_id: row.try_get("user_id")?,
        role: row.try_get("role")?,
        thread_id: row.try_get("thread_id")?,
        title: row.try_get("title")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
        last_turn_id: row.try_get("last_turn_id")?,
        window_from: row.try_get("window_from")?,
    })
}

/// The rows of [`list_sql`]; `None` where the client is not seen.
pub(crate) fn listed(rows: &[Row]) -> Result<Option<Vec<Thread>>, db::Error> {
    let Some(first) = rows.first() else {
        return Ok(None);
    };
    if first.try_get::<_, Option<Uuid>>("id")?.is_none() {
        return Ok(Some(Vec::new()));
    }
    rows.iter().map(from_row).collect::<Result<_, _>>().map(Some)
}

/// Makes a thread or gives it another title; the flag says whether it is new. `None` where the client is not seen as one
/// cared for. Without a title a new one is called by its id.
pub(crate) async fn put(
    tx: &Tx,
    place: Place<'_>,
    title: Option<&str>,
) -> Result<Option<(Thread, bool)>, db::Error> {
    let sql = format!(
        "insert into core.chat_threads as t (id, user_id, role, thread_id, title)
         select $1, u.user_id, $3, $4, coalesce($5, $4) from core.users u
         where u.user_id = $2 and u.kind = 'client' and u.user_id <> all (array(select core.crisis_clients()))
         on conflict (user_id, role, thread_id) do update set
             title = coalesce($5, t.title),
             updated_at = case when $5 is distinct from t.title and $5 is not null then now() else t.updated_at end
         returning {COLUMNS}, t.xmax = 0 as is_new"
    );
    let id = Uuid::now_v7();
    let row = tx
        .query_opt(
            &sql,
            &[&id, &place.user_id, &place.role, &place.thread_id, &title],
        )
        .await?;
    row.map(|row| Ok((from_row(&row)?, row.try_get("is_new")?)))
        .transpose()
}

/// A thread that is held until the transaction ends.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) id: Uuid,
    pub(crate) last_turn_id: i64,
    pub(crate) window_from: i64,
    /// Later than every turn before.
    pub(crate) now: DateTime<Utc>,
}

/// Makes each thread where there is none, called by the title beside it, and holds it; in the order given. The clients are
/// locked.
pub(crate) async fn hold(tx: &Tx, places: &[(Place<'_>, String)]) -> Result<Vec<Held>, db::Error> {
    // The update takes the lock; its time is that at which it got it. In one order for everybody.
    let rows = tx
        .query(
            "with named as (
                 select n.* from unnest($1::uuid[], $2::varchar[], $3::varchar[], $4::varchar[], $5::varchar[])
                     with ordinality as n (id, user_id, role, thread_id, title, position)),
             held as (
                 insert into core.chat_threads as t (id, user_id, role, thread_id, title)
                 select distinct on (n.user_id, n.role, n.thread_id) n.id, n.user_id, n.role, n.thread_id,
                     coalesce(nullif(n.title, ''), n.thread_id)
                 from named n order by n.user_id, n.role, n.thread_id, n.position
                 on conflict (user_id, role, thread_id) do update set updated_at = clock_timestamp()
                 returning t.id, t.user_id, t.role, t.thread_id, coalesce(t.last_turn_id, 0) as last_turn_id, t.window_from,
                     clock_timestamp() as now)
             select h.id, h.last_turn_id, h.window_from, h.now
             from named n join held h on h.user_id = n.user_id and h.role = n.role and h.thread_id = n.thread_id
             order by n.position",
            &[
                &places.iter().map(|_| Uuid::now_v7()).collect::<Vec<_>>(),
                &places.iter().map(|(place, _)| place.user_id).collect::<Vec<_>>(),
                &places.iter().map(|(place, _)| place.role).collect::<Vec<_>>(),
                &places.iter().map(|(place, _)| place.thread_id).collect::<Vec<_>>(),
                &places.iter().map(|(_, title)| title.as_str()).collect::<Vec<_>>(),
            ],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Held {
                id: row.try_get("id")?,
                last_turn_id: row.try_get("last_turn_id")?,
                window_from: row.try_get("window_from")?,
                now: row.try_get("now")?,
            })
        })
        .collect()
}

/// Notes the last turn, with the commit, and what its reply replies to.
pub(crate) fn advance(tx: &Tx, id: Uuid, message_id: i64, reply_id: i64) {
    tx.at_commit(
        "update core.chat_threads t set last_turn_id = $2, updated_at = clock_timestamp() where t.id = $1",
        vec![Box::new(id), Box::new(reply_id)],
    );
    tx.at_commit(
        "update core.message_ai_metadata a set reply_to = $2 where a.message_id = $1",
        vec![Box::new(reply_id), Box::new(message_id)],
    );
}

/// Deletes a thread with its messages; `false` where it is not there.
pub(crate) async fn delete(tx: &Tx, place: Place<'_>) -> Result<bool, db::Error> {
    let deleted = tx
        .execute(
            "delete from core.chat_threads t
             where t.user_id = $1 and t.role = $2 and t.thread_id = $3
               and t.user_id <> all (array(select core.crisis_clients()))",
            &[&place.user_id, &place.role, &place.thread_id],
        )
        .await?;
    Ok(deleted > 0)
}

/// Lets short-term memory begin behind the last turn; `false` where the thread is not there.
pub(crate) async fn forget_window(tx: &Tx, place: Place<'_>) -> Result<bool, db::Error> {
    let moved = tx
        .execute(
            "update core.chat_threads t set window_from = coalesce(t.last_turn_id, 0)
             where t.user_id = $1 and t.role = $2 and t.thread_id = $3
               and t.user_id <> all (array(select core.crisis_clients()))",
            &[&place.user_id, &place.role, &place.thread_id],
        )
        .await?;
    Ok(moved > 0)
}

/// Roles and ids of a person's threads. `$1` the person.
pub(crate) const OF_PERSON: &str = "select t.role, t.thread_id from core.chat_threads t where t.user_id = $1";

pub(crate) fn keys_from_rows(rows: &[Row]) -> Result<Vec<(String, String)>, db::Error> {
    rows.iter()
        .map(|row| Ok((row.try_get("role")?, row.try_get("thread_id")?)))
        .collect()
}

/// The last turns of a thread behind a message, oldest first. `$1` the thread's row, `$2` the message, `$3` limit.
pub(crate) const TURNS: &str = "
    select l.*
    from (
        select u.message_id, r.message_id as reply_id, u.message_text as user_message,
            r.message_text as assistant_reply, r.timestamp
        from core.messages r
        join core.message_ai_metadata a on a.message_id = r.message_id
        join core.messages u on u.message_id = a.reply_to
        where r.thread_pk = $1 and r.message_id > $2
        order by r.timestamp desc, r.message_id desc
        limit $3) as l
    order by l.timestamp, l.reply_id";

pub(crate) fn turn_from_row(row: &Row) -> Result<Turn, db::Error> {
    Ok(Turn {
        message_id: row.try_get("message_id")?,
        reply_id: row.try_get("reply_id")?,
        user_message: row.try_get("user_message")?,
        assistant_reply: row.try_get("assistant_reply")?,
        timestamp: row.try_get("timestamp")?,
    })
}
