//! `core.stated_preferences`: what clients said they like and dislike.

use chrono::{DateTime, Utc};
use db::{Row, Tx};

use crate::domain::preferences::NewStatement;

/// A preference as it is read.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    pub(crate) id: i64,
    pub(crate) kind: String,
    pub(crate) category: String,
    pub(crate) value: String,
    pub(crate) weight: f64,
    pub(crate) role: Option<String>,
    pub(crate) source_session_id: Option<String>,
    pub(crate) created_at: DateTime<Utc>,
}

/// What one client stated, newest first; no row where the client is not seen as one cared for, and one without an id
/// where nothing was stated. `$1` client, `$2` the id to go on behind, `$3` limit.
pub(crate) const LIST: &str = "
    with person as (
        select u.user_id
        from core.users u
        where u.user_id = $1 and u.kind = 'client' and u.user_id <> all (array(select core.crisis_clients())))
    select p.user_id, s.id, s.kind, s.category, s.value, s.weight, s.role, s.source_session_id, s.created_at
    from person p
    left join lateral (
        select l.id, l.kind, l.category, l.value, l.weight, l.role, l.source_session_id, l.created_at
        from core.stated_preferences l
        where l.user_id = $1 and l.id < $2
        order by l.id desc
        limit $3) as s on true";

/// The rows of [`LIST`]; `None` where the client is not seen.
pub(crate) fn listed(rows: &[Row]) -> Result<Option<Vec<Statement>>, db::Error> {
    super::listed::<i64, _>(rows, "id", from_row)
}

fn from_row(row: &Row) -> Result<Statement, db::Error> {
    Ok(Statement {
        id: row.try_get("id")?,
        kind: row.try_get("kind")?,
        category: row.try_get("category")?,
        value: row.try_get("value")?,
        weight: row.try_get("weight")?,
        role: row.try_get("role")?,
        source_session_id: row.try_get("source_session_id")?,
        created_at: row.try_get("created_at")?,
    })
}

/// Stores what a client stated, or finds what stands of the same thing in the same role; `None` where the client is not
/// seen. The flag says whether it is new.
pub(crate) async fn insert(
    tx: &Tx,
    user_id: &str,
    statement: &NewStatement,
) -> Result<Option<(Statement, bool)>, db::Error> {
    // The update changes nothing: it finds the row that stands, and gives it the xmax that tells it from a new one.
    let row = tx
        .query_opt(
            "insert into core.stated_preferences as s (user_id, kind, category, value, weight, role, source_session_id)
             select u.user_id, $2, $3, $4, $5, $6, $7 from core.users u where u.user_id = $1 and u.kind = 'client'
             on conflict (user_id, category, value, role) do update set kind = s.kind
             returning s.id, s.kind, s.category, s.value, s.weight, s.role, s.source_session_id, s.created_at,
                s.xmax = 0 as is_new",
            &[
                &user_id,
                &statement.kind,
                &statement.category,
                &statement.value,
                &statement.weight(),
                &statement.role,
                &statement.source_session_id,
            ],
        )
        .await?;
    row.map(|row| Ok((from_row(&row)?, row.try_get("is_new")?)))
        .transpose()
}

/// Forgets what was stated; `false` where there is no such row of this client.
pub(crate) async fn delete(tx: &Tx, user_id: &str, id: i64) -> Result<bool, db::Error> {
    let deleted = tx
        .execute(
            "delete from core.stated_preferences s where s.user_id = $1 and s.id = $2",
            &[&user_id, &id],
        )
        .await?;
    Ok(deleted > 0)
}
