//! `core.chat_threads`: conversations of a client with a companion.

use chrono::{DateTime, Utc};
use db::{Row, Tx};
use uuid::Uuid;

use crate::domain::thread::Window;

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
    pub(crate) window: Window,
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
         select p.seen, {COLUMNS}
         from person p
         left join lateral (
             select l.id, l.user_id, l.role, l.thread_id, l.title, l.created_at, l.updated_at, l.last_turn_id, l.window_from
             from core.chat_threads l
             where l.user_id = $1 and ($2::varchar is null or l.role = $2) and (l.updated_at, l.id) < ($3, $4)
             order by l.updated_at desc, l.id desc
             limit $5) as t on true"
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
        window: Window {
            last_turn_id: row.try_get("last_turn_id")?,
            from: row.try_get("window_from")?,
        },
    })
}

/// The rows of [`list_sql`]; `None` where the client is not seen.
pub(crate) fn listed(rows: &[Row]) -> Result<Option<Vec<Thread>>, db::Error> {
    super::listed::<Uuid, _>(rows, "id", from_row)
}

/// Makes a thread, or gives the one that is there another title, where one is given. Its client is locked. The flag says
/// whether it is new.
pub(crate) async fn put(tx: &Tx, place: Place<'_>, title: Option<&str>) -> Result<(Thread, bool), db::Error> {
    let sql = format!(
        "insert into core.chat_threads as t (id, user_id, role, thread_id, title)
         values ($1, $2, $3, $4, coalesce($5, ''))
         on conflict (user_id, role, thread_id) do update set
             title = coalesce($5, t.title),
             title_from = case when $5::varchar is null then t.title_from end,
             updated_at = case when coalesce($5, t.title) = t.title then t.updated_at else clock_timestamp() end
         returning {COLUMNS}, t.xmax = 0 as is_new"
    );
    let id = Uuid::now_v7();
    let row = tx
        .query_one(
            &sql,
            &[&id, &place.user_id, &place.role, &place.thread_id, &title],
        )
        .await?;
    Ok((from_row(&row)?, row.try_get("is_new")?))
}

/// Makes a thread where there is none, and holds it until the transaction ends, so that its turns come one after the
/// other; `None` where the client is not one whom the transaction may write to. One round trip.
pub(crate) async fn open(tx: &Tx, place: Place<'_>) -> Result<Option<Thread>, db::Error> {
    // The client first, as whoever writes messages does: they would wait for each other.
    let lock_client = "select u.user_id from core.users u
        where u.user_id = $1 and u.kind = 'client' and u.user_id <> all (array(select core.crisis_clients()))
        for no key update";
    let make = "insert into core.chat_threads (id, user_id, role, thread_id, title)
        select $1, u.user_id, $3, $4, '' from core.users u
        where u.user_id = $2 and u.kind = 'client' and u.user_id <> all (array(select core.crisis_clients()))
        on conflict (user_id, role, thread_id) do nothing";
    let hold = format!("{} for no key update of t", find_sql());
    let id = Uuid::now_v7();
    let rows = tx
        .pipeline(&[
            (lock_client, &[&place.user_id]),
            (make, &[&id, &place.user_id, &place.role, &place.thread_id]),
            (&hold, &[&place.user_id, &place.role, &place.thread_id]),
        ])
        .await?;
    let held = rows.last().and_then(|rows| rows.first());
    held.map(from_row).transpose()
}

/// Holds those threads of these that there are until the transaction ends; the row of each, or `None`, in the order
/// given. The clients are locked.
pub(crate) async fn hold(tx: &Tx, places: &[Place<'_>]) -> Result<Vec<Option<Uuid>>, db::Error> {
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let rows = tx
        .query(
            "with held as (
                 select t.id, t.user_id, t.role, t.thread_id
                 from core.chat_threads t
                 where (t.user_id, t.role, t.thread_id) in (
                     select n.user_id, n.role, n.thread_id
                     from unnest($1::varchar[], $2::varchar[], $3::varchar[]) as n (user_id, role, thread_id))
                 for no key update)
             select h.id
             from unnest($1::varchar[], $2::varchar[], $3::varchar[])
                 with ordinality as n (user_id, role, thread_id, position)
             left join held h on h.user_id = n.user_id and h.role = n.role and h.thread_id = n.thread_id
             order by n.position",
            &[
                &places.iter().map(|place| place.user_id).collect::<Vec<_>>(),
                &places.iter().map(|place| place.role).collect::<Vec<_>>(),
                &places.iter().map(|place| place.thread_id).collect::<Vec<_>>(),
            ],
        )
        .await?;
    rows.iter().map(|row| Ok(row.try_get("id")?)).collect()
}

/// Notes with the commit that something was said in these threads, which are held.
pub(crate) fn touch(tx: &Tx, ids: Vec<Uuid>) {
    if !ids.is_empty() {
        let sql = "update core.chat_threads t set updated_at = clock_timestamp() where t.id = any ($1)";
        tx.at_commit(sql, vec![Box::new(ids)]);
    }
}

/// Notes with the commit the last turn of a thread that is held; one without a title is called so from now on, after the
/// message of this id.
pub(crate) fn advance(tx: &Tx, id: Uuid, reply_id: i64, called: Option<(String, i64)>) {
    let (title, title_from) = called.unzip();
    tx.at_commit(
        "update core.chat_threads t set last_turn_id = $2, title = coalesce($3, t.title),
             title_from = coalesce($4, t.title_from), updated_at = clock_timestamp()
         where t.id = $1",
        vec![
            Box::new(id),
            Box::new(reply_id),
            Box::new(title),
            Box::new(title_from),
        ],
    );
}

/// Deletes a thread with its messages; their ids, or `None` where it is not there. Its client is locked, so that nobody
/// writes another one meanwhile.
pub(crate) async fn delete(tx: &Tx, place: Place<'_>) -> Result<Option<Vec<i64>>, db::Error> {
    let row = tx
        .query_opt(
            "with deleted as (
                delete from core.chat_threads t
                where t.user_id = $1 and t.role = $2 and t.thread_id = $3
                  and t.user_id <> all (array(select core.crisis_clients()))
                returning t.id)
             select array(
                select m.message_id from core.messages m where m.thread_pk = d.id order by m.message_id) as message_ids
             from deleted d",
            &[&place.user_id, &place.role, &place.thread_id],
        )
        .await?;
    row.map(|row| Ok(row.try_get("message_ids")?)).transpose()
}

/// Takes the titles from these threads that are words of these messages. The clients are locked.
pub(crate) async fn forget_titles(tx: &Tx, ids: &[Uuid], message_ids: &[i64]) -> Result<(), db::Error> {
    tx.execute(
        "update core.chat_threads t set title = '', title_from = null
         where t.id = any ($1) and t.title_from = any ($2)",
        &[&ids, &message_ids],
    )
    .await?;
    Ok(())
}

/// Deletes some threads in which nothing is left and nothing was done for so many days: what they are called may be words of
/// the client. Whatever somebody works on is left for the next round.
pub(crate) async fn delete_left(tx: &Tx, limit: i64, days: i32) -> Result<u64, db::Error> {
    tx.execute(
        "with left_over as (
            select t.id
            from core.chat_threads t
            join core.users u on u.user_id = t.user_id
            where t.updated_at < now() - make_interval(days => $2)
              and not exists (select from core.messages m where m.thread_pk = t.id)
            order by t.updated_at
            limit $1
            for no key update of u skip locked
            for update of t skip locked)
         delete from core.chat_threads t using left_over l where t.id = l.id",
        &[&limit, &days],
    )
    .await
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

/// Roles and ids of a person's threads.
pub(crate) async fn of_person(tx: &Tx, user_id: &str) -> Result<Vec<(String, String)>, db::Error> {
    let sql = "select t.role, t.thread_id from core.chat_threads t where t.user_id = $1";
    let rows = tx.query(sql, &[&user_id]).await?;
    rows.iter()
        .map(|row| Ok((row.try_get("role")?, row.try_get("thread_id")?)))
        .collect()
}

/// Those of these places where no thread is, by their `position`, from 0. `$1` clients, `$2` roles, `$3` threads.
pub(crate) const GONE: &str = "
    select n.position - 1 as position
    from unnest($1::varchar[], $2::varchar[], $3::varchar[])
        with ordinality as n (user_id, role, thread_id, position)
    where not exists (select from core.chat_threads t
        where t.user_id = n.user_id and t.role = n.role and t.thread_id = n.thread_id)";

/// The rows of [`GONE`].
pub(crate) fn positions(rows: &[Row]) -> Result<Vec<usize>, db::Error> {
    let position = |row: &Row| {
        let position: i64 = row.try_get("position")?;
        usize::try_from(position).map_err(|error| db::Error::Row(error.to_string()))
    };
    rows.iter().map(position).collect()
}

/// Roles and ids of one person's threads, as places.
pub(crate) fn places<'a>(
    user_id: &'a str,
    threads: &'a [(String, String)],
) -> impl Iterator<Item = Place<'a>> {
    threads.iter().map(move |(role, thread_id)| Place {
        user_id,
        role,
        thread_id,
    })
}
