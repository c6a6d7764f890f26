//! `core.audit_events` and the seals over them.

use chrono::{DateTime, Utc};
use db::{Row, Tx};

use crate::domain::seal::{Hash, Link, Seal};

/// An audit row as it is read.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) id: i64,
    pub(crate) at: DateTime<Utc>,
    pub(crate) event_type: String,
    pub(crate) actor: String,
    pub(crate) actor_kind: String,
    /// The account behind `actor`, where it is one of staff that is still there, or the program.
    pub(crate) actor_id: Option<String>,
    pub(crate) actor_name: Option<String>,
    pub(crate) subject_refs: Vec<uuid::Uuid>,
    pub(crate) action: String,
    pub(crate) object_type: Option<String>,
    pub(crate) object_id: Option<String>,
    pub(crate) decision: String,
    pub(crate) reason: Option<String>,
    pub(crate) purpose: Option<String>,
    pub(crate) request_id: Option<String>,
    pub(crate) metadata: Option<serde_json::Value>,
}

/// Audit rows, newest first. `$1` event type, `$2` decision, `$3` kind of actor, `$4` request, `$5` a person they are
/// about, `$6` from, `$7` before, each or null; `$8` the last id seen, `$9` limit. Where a person is asked for, the
/// statement is another: only so it goes by the index on references.
pub(crate) fn list_sql(about_somebody: bool) -> String {
    let about = if about_somebody {
        "e.subject_refs @> (select array_agg(s.subject_ref) from core.subject_refs s where s.user_id = $5)"
    } else {
        "$5::varchar is null"
    };
    format!(
        "select e.id, e.at, e.event_type, e.actor, e.actor_kind,
             case when e.actor_kind = 'staff' then u.user_id when e.actor_kind <> 'client' then e.actor end as actor_id,
             case when e.actor_kind = 'staff' then u.display_name else p.name end as actor_name,
             e.subject_refs, e.action, e.object_type, e.object_id, e.decision, e.reason, e.purpose, e.request_id, e.metadata
         from core.audit_events e
         left join core.subject_refs r
             on r.subject_ref = case when e.actor_kind = 'staff' and e.actor <> 'erased' then e.actor::uuid end
         left join core.users u on u.user_id = r.user_id
         left join core.api_clients p on p.client_id = e.actor
         where {about}
           and ($1::varchar is null or e.event_type = $1)
           and ($2::varchar is null or e.decision = $2)
           and ($3::varchar is null or e.actor_kind = $3)
           and ($4::varchar is null or e.request_id = $4)
           and ($6::timestamptz is null or e.at >= $6) and ($7::timestamptz is null or e.at < $7)
           and e.id < $8
         order by e.id desc
         limit $9"
    )
}

pub(crate) fn from_row(row: &Row) -> Result<Event, db::Error> {
    Ok(Event {
        id: row.try_get("id")?,
        at: row.try_get("at")?,
        event_type: row.try_get("event_type")?,
        actor: row.try_get("actor")?,
        actor_kind: row.try_get("actor_kind")?,
        actor_id: row.try_get("actor_id")?,
        actor_name: row.try_get("actor_name")?,
        subject_refs: row.try_get("subject_refs")?,
        action: row.try_get("action")?,
        object_type: row.try_get("object_type")?,
        object_id: row.try_get("object_id")?,
        decision: row.try_get("decision")?,
        reason: row.try_get("reason")?,
        purpose: row.try_get("purpose")?,
        request_id: row.try_get("request_id")?,
        metadata: row.try_get("metadata")?,
    })
}

/// Rows that were taken to be sealed.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) event_ids: Vec<i64>,
    pub(crate) first_at: DateTime<Utc>,
    pub(crate) last_at: DateTime<Utc>,
    pub(crate) rows_hash: Vec<u8>,
    /// Rows that waited for a seal and are not there any more.
    pub(crate) vanished: i64,
}

/// Drops the months whose six years are over and whose rows are sealed; returns how many.
pub(crate) async fn drop_partitions(tx: &Tx) -> Result<u64, db::Error> {
    let row = tx
        .query_one("select core.drop_audit_partitions() as dropped", &[])
        .await?;
    Ok(row.try_get::<_, i64>("dropped")?.unsigned_abs())
}

/// Makes the transaction the one sealer; `false` where another one is at work.
pub(crate) async fn become_sealer(tx: &Tx) -> Result<bool, db::Error> {
    let row = tx
        .query_one(
            "select pg_try_advisory_xact_lock(hashtextextended('core.audit_seals', 0)) as is_alone",
            &[],
        )
        .await?;
    Ok(row.try_get("is_alone")?)
}

/// Makes the transaction the one sealer, once the one at work is done.
pub(crate) async fn wait_to_seal(tx: &Tx) -> Result<(), db::Error> {
    tx.query_one(
        "select pg_advisory_xact_lock(hashtextextended('core.audit_seals', 0))",
        &[],
    )
    .await?;
    Ok(())
}

/// The last link of the chain.
pub(crate) async fn last_link(tx: &Tx) -> Result<Link, db::Error> {
    let row = tx
        .query_opt(
            "select s.seq, s.hash from core.audit_seals s order by s.seq desc limit 1",
            &[],
        )
        .await?;
    row.map_or(Ok(Link::START), |row| {
        Ok(Link {
            seq: row.try_get("seq")?,
            hash: hash(&row, "hash")?,
        })
    })
}

/// Takes up to so many rows that wait for a seal, all of one month: months go as a whole, and no seal may lose half of what
/// it covers. `None` when nothing waits.
pub(crate) async fn take_unsealed(tx: &Tx, limit: i64) -> Result<Option<Taken>, db::Error> {
    let row = tx
        .query_one(
            "with next as (select date_trunc('month', n.at, 'UTC') as month from core.audit_pending n limit 1),
             taken as (
                 delete from core.audit_pending p
                 where p.ctid = any (array(
                     select q.ctid from core.audit_pending q, next n where date_trunc('month', q.at, 'UTC') = n.month limit $1))
                 returning p.id, p.at)
             select count(t.id) as taken, count(t.id) - count(e.id) as vanished,
                 coalesce(array_agg(e.id order by e.id) filter (where e.id is not null), '{}') as event_ids,
                 coalesce(min(e.at), now()) as first_at, coalesce(max(e.at), now()) as last_at,
                 sha256(coalesce(string_agg(core.audit_row_hash(e), ''::bytea order by e.id)
                     filter (where e.id is not null), '')) as rows_hash
             from taken t left join core.audit_events e on e.id = t.id and e.at = t.at",
            &[&limit],
        )
        .await?;
    // Were all of them gone, a seal over nothing still says that something was there, and the next ones get theirs.
    if row.try_get::<_, i64>("taken")? == 0 {
        return Ok(None);
    }
    Ok(Some(Taken {
        event_ids: row.try_get("event_ids")?,
        first_at: row.try_get("first_at")?,
        last_at: row.try_get("last_at")?,
        rows_hash: row.try_get("rows_hash")?,
        vanished: row.try_get("vanished")?,
    }))
}

/// Stores a seal over rows that were taken.
pub(crate) async fn insert_seal(tx: &Tx, seal: &Seal, taken: &Taken) -> Result<(), db::Error> {
    tx.execute(
        "insert into core.audit_seals (seq, event_ids, first_at, last_at, prev_hash, hash, mac)
         values ($1, $2, $3, $4, $5, $6, $7)",
        &[
            &seal.seq,
            &taken.event_ids,
            &seal.first_at,
            &seal.last_at,
            &seal.prev_hash.as_slice(),
            &seal.hash.as_slice(),
            &seal.mac.as_slice(),
        ],
    )
    .await?;
    Ok(())
}

/// Seals behind `$1`, in order; `$2` limit.
pub(crate) const SEALS: &str = "
    select s.seq, s.prev_hash, s.hash, s.mac, s.first_at, s.last_at
    from core.audit_seals s
    where s.seq > $1
    order by s.seq
    limit $2";

/// As [`SEALS`], each with how many rows it covers and the hash of what they are now; no more than cover `$3` rows, and
/// at least one.
pub(crate) const SEALS_WITH_ROWS: &str = "
    select s.seq, s.prev_hash, s.hash, s.mac, s.first_at, s.last_at, s.events,
        (select sha256(coalesce(string_agg(core.audit_row_hash(e), ''::bytea order by e.id), '')) from core.audit_events e
         where e.id = any (s.event_ids) and e.at between s.first_at and s.last_at) as rows_hash
    from (select n.seq, n.prev_hash, n.hash, n.mac, n.event_ids, n.first_at, n.last_at,
              cardinality(n.event_ids)::bigint as events,
              sum(cardinality(n.event_ids)) over (order by n.seq) - cardinality(n.event_ids) as rows_before
          from core.audit_seals n
          where n.seq > $1
          order by n.seq
          limit $2) s
    where s.rows_before < $3
    order by s.seq";

/// Rows that no seal covers and that do not wait for one: they came past the sealer. Looked for behind the time `$1` up to
/// `$2`, null for no end; no more than `$3`. One statement, so that a row which is being sealed is seen as one or the other.
pub(crate) const UNSEALED: &str = "
    with covered as (
        select unnest(s.event_ids) as id, s.first_at, s.last_at
        from core.audit_seals s
        where tstzrange(s.first_at, s.last_at, '[]')
            && case when $1::timestamptz > $2::timestamptz then 'empty'::tstzrange else tstzrange($1, $2, '(]') end)
    select e.id
    from core.audit_events e
    where e.at > coalesce($1, '-infinity') and e.at <= coalesce($2, 'infinity')
      and not exists (select from covered c where c.id = e.id and e.at between c.first_at and c.last_at)
      and not exists (select from core.audit_pending p where p.id = e.id and p.at = e.at)
    order by e.id
    limit $3";

/// Where the chain ends, and what waits for a seal.
pub(crate) const STATE: &str = "
    select coalesce((select max(s.seq) from core.audit_seals s), 0) as last_seq,
        (select count(*) from core.audit_pending p) as unsealed_events";

pub(crate) fn seal_from_row(row: &Row) -> Result<Seal, db::Error> {
    Ok(Seal {
        seq: row.try_get("seq")?,
        first_at: row.try_get("first_at")?,
        last_at: row.try_get("last_at")?,
        prev_hash: hash(row, "prev_hash")?,
        hash: hash(row, "hash")?,
        mac: hash(row, "mac")?,
    })
}

fn hash(row: &Row, column: &str) -> Result<Hash, db::Error> {
    let bytes: &[u8] = row.try_get(column)?;
    bytes
        .try_into()
        .map_err(|_| db::Error::Row(format!("{column} is no SHA-256")))
}
