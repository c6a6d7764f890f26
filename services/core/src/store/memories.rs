//! `core.memories`: what the companion remembers of a client, what holds and what was corrected.

use chrono::{DateTime, Utc};
use db::{Row, Tx};
use uuid::Uuid;

use crate::domain::memory::Content;

/// A memory as it is read.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    pub(crate) id: Uuid,
    pub(crate) user_id: String,
    pub(crate) content: Content,
    pub(crate) idempotency_hash: Option<String>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) accessed_at: DateTime<Utc>,
    /// The correction that took its place.
    pub(crate) superseded_by: Option<Uuid>,
}

/// The columns of a memory, under the alias `m`.
pub(crate) const COLUMNS: &str =
    "m.id, m.user_id, m.role, m.thread_id, m.memory_type, m.entry_type, m.content, m.is_sensitive, m.write_reason,
    m.source_provider, m.source_session_id, m.metadata, m.idempotency_hash, m.created_at, m.accessed_at, m.valid_from,
    m.superseded_by, m.expires_at";

/// What of a client's memories may be read: all others but the client read them under an active consent alone.
#[derive(Clone, Debug)]
pub(crate) enum Consented<T> {
    /// The client, or what is asked for, is not seen.
    NotSeen,
    /// The client does not consent to be remembered.
    NoConsent,
    Shown(T),
}

impl<T> Consented<T> {
    /// By the column `consented` of rows that hold nothing to read where it is false. `read` gives `None` where what is
    /// asked for is not there.
    pub(super) fn of(
        rows: &[Row],
        read: impl FnOnce(&[Row]) -> Result<Option<T>, db::Error>,
    ) -> Result<Self, db::Error> {
        let Some(first) = rows.first() else {
            return Ok(Self::NotSeen);
        };
        if !first.try_get::<_, bool>("consented")? {
            return Ok(Self::NoConsent);
        }
        Ok(read(rows)?.map_or(Self::NotSeen, Self::Shown))
    }
}

/// One client's memories, newest first; no row where the client is not seen as one cared for, and one without an id where
/// there is none or no consent. `$1` client, `$2` whether sensitive ones are shown, `$3` and `$4` whether corrected and
/// expired ones are, `$5` memory type, `$6` entry type, `$7` role and `$8` thread or null, `$9` and `$10` the row to go on
/// behind, `$11` limit, `$12` whether it is the client who reads. `narrowed` says which of `$5` to `$8` are given: only so
/// the statement goes by an index.
pub(crate) fn list_sql(narrowed: [bool; 4]) -> String {
    let filters: String = ["memory_type", "entry_type", "role", "thread_id"]
        .iter()
        .zip(narrowed)
        .zip(5..)
        .map(|((column, is_given), number)| {
            if is_given {
                format!(" and m.{column} = ${number}")
            } else {
                format!(" and ${number}::varchar is null")
            }
        })
        .collect();
    format!(
        "with person as materialized (
            select $12 or core.has_consent(u.user_id, 'memory', 'programme') as consented
            from core.users u
            where u.user_id = $1 and u.kind = 'client' and u.user_id <> all (array(select core.crisis_clients())))
         select p.consented, {COLUMNS}
         from person p
         left join lateral (
            select {COLUMNS}
            from core.memories m
            where p.consented and m.user_id = $1 and (not m.is_sensitive or $2) and ($3 or m.superseded_by is null)
              and ($4 or m.expires_at is null or m.expires_at > now()){filters}
              and (m.created_at, m.id) < ($9, $10)
            order by m.created_at desc, m.id desc
            limit $11) as m on true"
    )
}

/// The rows of [`list_sql`].
pub(crate) fn listed(rows: &[Row]) -> Result<Consented<Vec<Memory>>, db::Error> {
    Consented::of(rows, |rows| super::listed::<Uuid, _>(rows, "id", from_row))
}

/// One memory, also one that was corrected; no row where it is not seen, and one without an id where there is no consent.
/// `$1` its id, `$2` whether sensitive ones are shown, `$3` whether it is a client who reads.
pub(crate) fn find_sql() -> String {
    format!(
        "with kept as materialized (
            select k.id as kept_id, $3 or core.has_consent(k.user_id, 'memory', 'programme') as consented
            from core.memories k
            where k.id = $1 and (not k.is_sensitive or $2) and (k.expires_at is null or k.expires_at > now())
              and k.user_id <> all (array(select core.crisis_clients())))
         select k.consented, {COLUMNS}
         from kept k
         left join core.memories m on k.consented and m.id = k.kept_id"
    )
}

/// The row of [`find_sql`].
pub(crate) fn found(rows: &[Row]) -> Result<Consented<Memory>, db::Error> {
    Consented::of(rows, |rows| rows.first().map(from_row).transpose())
}

pub(super) fn from_row(row: &Row) -> Result<Memory, db::Error> {
    Ok(Memory {
        id: row.try_get("id")?,
        user_id: row.try_get("user_id")?,
        content: Content {
            memory_type: row.try_get("memory_type")?,
            entry_type: row.try_get("entry_type")?,
            content: row.try_get("content")?,
            role: row.try_get("role")?,
            thread_id: row.try_get("thread_id")?,
            is_sensitive: row.try_get("is_sensitive")?,
            write_reason: row.try_get("write_reason")?,
            source_provider: row.try_get("source_provider")?,
            source_session_id: row.try_get("source_session_id")?,
            metadata: row.try_get("metadata")?,
            valid_from: Some(row.try_get("valid_from")?),
            expires_at: row.try_get("expires_at")?,
        },
        idempotency_hash: row.try_get("idempotency_hash")?,
        created_at: row.try_get("created_at")?,
        accessed_at: row.try_get("accessed_at")?,
        superseded_by: row.try_get("superseded_by")?,
    })
}

/// Whether a client has consented to be remembered; the client and the consent are then held until the transaction ends.
/// Before anything of theirs is locked: who erases or revokes goes the same way. `None` where the client is not seen.
pub(crate) async fn hold_consent(tx: &Tx, user_id: &str) -> Result<Option<bool>, db::Error> {
    let row = tx
        .query_opt(
            "select core.hold_consent(u.user_id, 'memory', 'programme') is not null as consented
             from core.users u
             where u.user_id = $1 and u.kind = 'client'",
            &[&user_id],
        )
        .await?;
    row.map(|row| Ok(row.try_get("consented")?)).transpose()
}

/// Whose memory it is, and which request stores it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin<'a> {
    pub(crate) user_id: &'a str,
    pub(crate) request_id: &'a str,
}

/// Makes room for a memory under a hash where one has expired that waits to be pruned: what is acknowledged must not go
/// with it.
const FREE_HASH: &str = "
    delete from core.memories m where m.user_id = $1 and m.idempotency_hash = $2 and m.expires_at <= now()";

/// Stores a memory of a client who is seen, or finds the one that stands under the same hash, also one that was corrected.
/// The flag says whether it is new.
pub(crate) async fn insert(
    tx: &Tx,
    origin: Origin<'_>,
    content: &Content,
    idempotency_hash: Option<&str>,
) -> Result<(Memory, bool), db::Error> {
    if let Some(hash) = &idempotency_hash {
        tx.execute(FREE_HASH, &[&origin.user_id, hash]).await?;
    }
    // The update changes nothing: it finds the row that stands, and gives it the xmax that tells it from a new one.
    let row = tx
        .query_one(
            &format!(
                "insert into core.memories as m (id, user_id, role, thread_id, memory_type, entry_type, content, is_sensitive,
                    write_reason, source_provider, source_session_id, metadata, idempotency_hash, created_by_request_id,
                    valid_from, expires_at)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, coalesce($15, now()), $16)
                 on conflict (user_id, idempotency_hash) do update set created_at = m.created_at
                 returning {COLUMNS}, m.xmax = 0 as is_new"
            ),
            &[
                &Uuid::now_v7(),
                &origin.user_id,
                &content.role,
                &content.thread_id,
                &content.memory_type,
                &content.entry_type,
                &content.content,
                &content.is_sensitive,
                &content.write_reason,
                &content.source_provider,
                &content.source_session_id,
                &content.metadata,
                &idempotency_hash,
                &origin.request_id,
                &content.valid_from,
                &content.expires_at,
            ],
        )
        .await?;
    Ok((from_row(&row)?, row.try_get("is_new")?))
}

/// Whose a memory is that has not expired. Nothing is held: ask for the client's consent, then look again.
pub(crate) async fn owner(tx: &Tx, id: Uuid) -> Result<Option<String>, db::Error> {
    let row = tx
        .query_opt(
            "select m.user_id from core.memories m
             where m.id = $1 and (m.expires_at is null or m.expires_at > now())",
            &[&id],
        )
        .await?;
    row.map(|row| Ok(row.try_get("user_id")?)).transpose()
}

/// Locks a memory that has not expired, for its correction. The consent is held.
pub(crate) async fn lock(tx: &Tx, id: Uuid) -> Result<Option<Memory>, db::Error> {
    let row = tx
        .query_opt(
            &format!(
                "select {COLUMNS} from core.memories m
                 where m.id = $1 and (m.expires_at is null or m.expires_at > now())
                 for update"
            ),
            &[&id],
        )
        .await?;
    row.as_ref().map(from_row).transpose()
}

/// Whose a memory is that has not expired; nobody corrects it until the transaction ends. Without one that was corrected.
/// The consent is held.
pub(crate) async fn hold(tx: &Tx, id: Uuid) -> Result<Option<String>, db::Error> {
    let row = tx
        .query_opt(
            "select m.user_id from core.memories m
             where m.id = $1 and m.superseded_by is null and (m.expires_at is null or m.expires_at > now())
             for share",
            &[&id],
        )
        .await?;
    row.map(|row| Ok(row.try_get("user_id")?)).transpose()
}

/// The memory that stands for this one now, whoever corrected it how often.
pub(crate) async fn latest(tx: &Tx, id: Uuid) -> Result<Memory, db::Error> {
    let row = tx
        .query_one(
            &format!(
                "with recursive chain as (
                    select c.id, c.superseded_by from core.memories c where c.id = $1
                    union
                    select n.id, n.superseded_by from chain c join core.memories n on n.id = c.superseded_by)
                 select {COLUMNS}
                 from chain c
                 join core.memories m on m.id = c.id
                 where c.superseded_by is null"
            ),
            &[&id],
        )
        .await?;
    from_row(&row)
}

/// Puts a correction in the place of a memory that is locked, in its collections too. The database removes the embeddings
/// of what was corrected.
pub(crate) async fn supersede(tx: &Tx, corrected: Uuid, correction: Uuid) -> Result<(), db::Error> {
    tx.pipeline(&[
        (
            "update core.memories m set superseded_by = $2 where m.id = $1",
            &[&corrected, &correction],
        ),
        (
            "update core.memory_collection_items i set memory_id = $2 where i.memory_id = $1",
            &[&corrected, &correction],
        ),
    ])
    .await?;
    Ok(())
}

/// Forgets a memory with all that it corrected, their embeddings and places in collections; says whose it was.
pub(crate) async fn delete(tx: &Tx, id: Uuid) -> Result<Option<String>, db::Error> {
    let row = tx
        .query_opt(
            "delete from core.memories m where m.id = $1 returning m.user_id",
            &[&id],
        )
        .await?;
    row.map(|row| Ok(row.try_get("user_id")?)).transpose()
}

/// Notes that memories (`$1`) were read or found; not twice within a minute.
pub(crate) const TOUCH: &str = "
    with due as (
        select d.id from core.memories d
        where d.id = any ($1) and d.accessed_at < now() - interval '1 minute'
        order by d.id
        for no key update skip locked)
    update core.memories m set accessed_at = now() from due where m.id = due.id";

/// Removes up to `$1` memories that have expired, longest ago first.
pub(crate) const PRUNE_EXPIRED: &str = "
    with due as (
        select d.id from core.memories d
        where d.expires_at <= now()
        order by d.expires_at
        limit $1
        for update skip locked)
    delete from core.memories m using due where m.id = due.id";

/// Removes up to `$1` task memories that hold of clients who have more than `$2` of them, least recently accessed first,
/// with what they corrected.
pub(crate) const PRUNE_TASKS: &str = "
    with beyond as (
        select s.id
        from (select t.user_id from core.memories t
              where t.memory_type = 'task' and t.superseded_by is null
              group by t.user_id having count(*) > $2) o
        cross join lateral (
            select t.id from core.memories t
            where t.user_id = o.user_id and t.memory_type = 'task' and t.superseded_by is null
            order by t.accessed_at desc, t.id desc
            offset $2) s
        limit $1),
     due as (
        select d.id from core.memories d
        where d.id = any (array(select b.id from beyond b))
        order by d.id
        for update skip locked)
    delete from core.memories m using due where m.id = due.id";
