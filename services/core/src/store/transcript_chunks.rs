//! `core.transcript_chunks`: what was said in a session. The database gives each piece the session's client.

use chrono::{DateTime, Utc};
use db::{Row, Tx};
use uuid::Uuid;

use crate::domain::interaction::NewChunk;

/// What storing a piece came to.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) chunk_index: i32,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) is_new: bool,
    /// Whether what stands at this place is what came.
    pub(crate) is_same: bool,
}

/// Stores pieces, or finds what stands in their places; in the order given. No place is named twice.
pub(crate) async fn insert(tx: &Tx, session_id: Uuid, chunks: &[NewChunk]) -> Result<Vec<Stored>, db::Error> {
    // The update changes nothing: it finds the row that stands, and gives it the xmax that tells it from a new one.
    let rows = tx
        .query(
            "with given as (
                select g.chunk_index, g.content, g.place
                from unnest($2::int4[], $3::text[]) with ordinality as g (chunk_index, content, place)),
             stored as (
                insert into core.transcript_chunks as c (session_id, chunk_index, content)
                select $1, g.chunk_index, g.content from given g order by g.chunk_index
                on conflict (session_id, chunk_index) do update set chunk_index = c.chunk_index
                returning c.chunk_index, c.content, c.created_at, c.xmax = 0 as is_new)
             select s.chunk_index, s.created_at, s.is_new, s.content = g.content as is_same
             from given g
             join stored s on s.chunk_index = g.chunk_index
             order by g.place",
            &[
                &session_id,
                &chunks.iter().map(|chunk| chunk.chunk_index).collect::<Vec<_>>(),
                &chunks
                    .iter()
                    .map(|chunk| chunk.content.as_str())
                    .collect::<Vec<_>>(),
            ],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Stored {
                chunk_index: row.try_get("chunk_index")?,
                created_at: row.try_get("created_at")?,
                is_new: row.try_get("is_new")?,
                is_same: row.try_get("is_same")?,
            })
        })
        .collect()
}

/// A piece as it is read.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    pub(crate) chunk_index: i32,
    pub(crate) content: String,
    pub(crate) created_at: DateTime<Utc>,
}

/// What was said in one session.
#[derive(Clone, Debug)]
pub(crate) struct Transcript {
    /// The session's client.
    pub(crate) client_id: Option<String>,
    pub(crate) chunks: Vec<Chunk>,
}

/// What was said in a session, from its beginning; no row where the session is not seen, or its client for a crisis
/// alone, and one without a place where nothing was said. `$1` the session's key, `$2` the place to go on behind, `$3`
/// limit.
pub(crate) const LIST: &str = "
    with session as (
        select s.id, s.client_id
        from core.interaction_sessions s
        where s.session_key = $1 and s.session_key <> s.id::varchar
          and (s.client_id is null or s.client_id <> all (array(select core.crisis_clients()))))
    select s.client_id, c.chunk_index, c.content, c.created_at
    from session s
    left join lateral (
        select l.chunk_index, l.content, l.created_at
        from core.transcript_chunks l
        where l.session_id = s.id and l.chunk_index > $2
        order by l.chunk_index
        limit $3) as c on true";

/// The rows of [`LIST`]; `None` where the session is not seen.
pub(crate) fn listed(rows: &[Row]) -> Result<Option<Transcript>, db::Error> {
    let chunks = super::listed::<i32, _>(rows, "chunk_index", chunk)?;
    let transcript = |(first, chunks): (&Row, _)| {
        Ok(Transcript {
            client_id: first.try_get("client_id")?,
            chunks,
        })
    };
    rows.first().zip(chunks).map(transcript).transpose()
}

fn chunk(row: &Row) -> Result<Chunk, db::Error> {
    Ok(Chunk {
        chunk_index: row.try_get("chunk_index")?,
        content: row.try_get("content")?,
        created_at: row.try_get("created_at")?,
    })
}
