//! `core.memory_embeddings` and `core.embedding_leases`: embeddings of memories that hold, and those that are wanted.

use chrono::{DateTime, Utc};
use db::{Row, Tx, Vector};
use uuid::Uuid;

use crate::domain::direction::Direction;
use crate::domain::memory::NewEmbedding;

/// Whose memory embeddings belong to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Of<'a> {
    pub(crate) memory_id: Uuid,
    pub(crate) user_id: &'a str,
}

/// The embedding as Postgres takes it.
pub(crate) fn vector(embedding: &Direction) -> Vector {
    Vector::from(embedding.as_slice().to_vec())
}

/// Stores embeddings of a memory, one a model, in place of those before. How many: models that are not active take none.
pub(crate) async fn put(tx: &Tx, of: Of<'_>, embeddings: &[NewEmbedding]) -> Result<u64, db::Error> {
    let models: Vec<&str> = embeddings.iter().map(|new| &*new.model).collect();
    let vectors: Vec<Vector> = embeddings.iter().map(|new| vector(&new.embedding)).collect();
    tx.execute(
        "insert into core.memory_embeddings as e (memory_entry_id, user_id, embedding_model, embedding_dimensions, embedding)
         select $1, $2, m.name, m.dimensions, n.embedding
         from unnest($3::varchar[], $4::public.vector[]) as n (name, embedding)
         join core.embedding_models m on m.name = n.name and m.active and m.purpose = 'text'
         on conflict (memory_entry_id, embedding_model) do update set embedding = excluded.embedding, created_at = now()",
        &[&of.memory_id, &of.user_id, &models, &vectors],
    )
    .await
}

/// What a pipeline takes: of which model, in whose name, until when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lease<'a> {
    pub(crate) model: &'a str,
    pub(crate) leased_by: &'a str,
    pub(crate) seconds: u32,
}

/// A memory as the pipeline that leased it reads it.
#[derive(Clone, Debug)]
pub(crate) struct Leased {
    pub(crate) id: Uuid,
    pub(crate) user_id: String,
    pub(crate) content: String,
    pub(crate) lease_until: DateTime<Utc>,
}

/// Takes memories that hold and wait for an embedding, longest waiting first. Without those of clients whose consent has
/// just run out, or is being taken back: what has no consent does not wait. The array has Postgres look up the few that were
/// taken: it would else think of them as many, and read all that wait. `$1` model, `$2` limit, `$3` in whose name,
/// `$4` for how many seconds.
pub(crate) const LEASE: &str = "
    with taken as (
        select l.memory_entry_id
        from core.embedding_leases l
        join core.embedding_models o on o.name = l.embedding_model and o.active
        join core.memories m on m.id = l.memory_entry_id and m.superseded_by is null
            and (m.expires_at is null or m.expires_at > now())
        join core.consents c on c.user_id = m.user_id and c.purpose = 'memory' and c.recipient = 'programme'
            and c.revoked_at is null and coalesce(c.expires_at > clock_timestamp(), true)
        where l.embedding_model = $1 and l.lease_until <= now()
        order by l.lease_until, l.memory_entry_id
        limit $2
        for update of l skip locked
        for share of c skip locked)
     update core.embedding_leases l
     set leased_by = $3, lease_until = now() + make_interval(secs => $4)
     from core.memories m
     where l.memory_entry_id = any (array(select t.memory_entry_id from taken t)) and l.embedding_model = $1
       and m.id = l.memory_entry_id
     returning m.id, m.user_id, m.content, l.lease_until";

/// Runs [`LEASE`].
pub(crate) async fn lease(tx: &Tx, lease: Lease<'_>, limit: i64) -> Result<Vec<Leased>, db::Error> {
    let seconds = f64::from(lease.seconds);
    let rows = tx
        .query(LEASE, &[&lease.model, &limit, &lease.leased_by, &seconds])
        .await?;
    rows.iter().map(leased).collect()
}

/// Up to `$1` embeddings are wanted no more whose consent has run out; that of a client who consents again meanwhile
/// is.
pub(crate) const FORGET_UNWANTED: &str = "
    with over as (
        select o.memory_entry_id, o.embedding_model
        from core.embedding_leases o
        where o.wanted_until < 'infinity' and o.wanted_until <= now()
        order by o.wanted_until
        limit $1
        for update skip locked)
    delete from core.embedding_leases l using over
    where l.memory_entry_id = over.memory_entry_id and l.embedding_model = over.embedding_model";

fn leased(row: &Row) -> Result<Leased, db::Error> {
    Ok(Leased {
        id: row.try_get("id")?,
        user_id: row.try_get("user_id")?,
        content: row.try_get("content")?,
        lease_until: row.try_get("lease_until")?,
    })
}

/// Whether a memory is leased to a pipeline now.
pub(crate) async fn is_leased(
    tx: &Tx,
    memory_id: Uuid,
    model: &str,
    leased_by: &str,
) -> Result<bool, db::Error> {
    let row = tx
        .query_opt(
            "select from core.embedding_leases l
             where l.memory_entry_id = $1 and l.embedding_model = $2 and l.leased_by = $3
               and l.lease_until > clock_timestamp()
             for update",
            &[&memory_id, &model, &leased_by],
        )
        .await?;
    Ok(row.is_some())
}
