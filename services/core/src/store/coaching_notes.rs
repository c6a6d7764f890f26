//! `core.coaching_notes`: notes of staff on a session. The database gives each note the session's client.

use chrono::{DateTime, Utc};
use db::{Row, Tx};
use uuid::Uuid;

/// A note as it is read.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    pub(crate) id: i64,
    pub(crate) note: String,
    pub(crate) author_id: Option<String>,
    pub(crate) created_at: DateTime<Utc>,
}

/// Notes on one session.
#[derive(Clone, Debug)]
pub(crate) struct Notes {
    /// The session's client.
    pub(crate) client_id: Option<String>,
    pub(crate) items: Vec<Note>,
}

/// Stores a note.
pub(crate) async fn insert(
    tx: &Tx,
    session_id: Uuid,
    note: &str,
    author_id: &str,
) -> Result<Note, db::Error> {
    let row = tx
        .query_one(
            "insert into core.coaching_notes (session_id, note, author_id) values ($1, $2, $3)
             returning id, note, author_id, created_at",
            &[&session_id, &note, &author_id],
        )
        .await?;
    from_row(&row)
}

/// The notes on a session, newest first; no row where the session is not seen, or its client for a crisis alone, and one
/// without an id where there is none. `$1` the session's key, `$2` the id to go on behind, `$3` limit.
pub(crate) const LIST: &str = "
    with session as (
        select s.id, s.client_id
        from core.interaction_sessions s
        where s.session_key = $1 and s.session_key <> s.id::varchar
          and (s.client_id is null or s.client_id <> all (array(select core.crisis_clients()))))
    select s.client_id, n.id, n.note, n.author_id, n.created_at
    from session s
    left join lateral (
        select l.id, l.note, l.author_id, l.created_at
        from core.coaching_notes l
        where l.session_id = s.id and l.id < $2
        order by l.id desc
        limit $3) as n on true";

/// The rows of [`LIST`]; `None` where the session is not seen.
pub(crate) fn listed(rows: &[Row]) -> Result<Option<Notes>, db::Error> {
    let items = super::listed::<i64, _>(rows, "id", from_row)?;
    let notes = |(first, items): (&Row, _)| {
        Ok(Notes {
            client_id: first.try_get("client_id")?,
            items,
        })
    };
    rows.first().zip(items).map(notes).transpose()
}

fn from_row(row: &Row) -> Result<Note, db::Error> {
    Ok(Note {
        id: row.try_get("id")?,
        note: row.try_get("note")?,
        author_id: row.try_get("author_id")?,
        created_at: row.try_get("created_at")?,
    })
}
