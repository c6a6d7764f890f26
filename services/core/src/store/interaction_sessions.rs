//! `core.interaction_sessions`: sessions of staff with clients.

use chrono::{DateTime, Utc};
use db::{Row, Tx};
use serde_json::Value;
use uuid::Uuid;

use crate::domain::interaction::{NewSession, Parties};

/// A session as it is read.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) id: Uuid,
    pub(crate) session_key: String,
    pub(crate) parties: Parties,
    pub(crate) metadata: Option<Value>,
    pub(crate) created_at: DateTime<Utc>,
}

/// One session, unless its client is seen for a crisis alone. `$1` its key. A session whose client has left has none: its
/// id stands there, and nobody finds it by that.
pub(crate) const FIND: &str = "
    select s.id, s.session_key, s.employee_id, s.client_id, s.metadata, s.created_at
    from core.interaction_sessions s
    where s.session_key = $1 and s.session_key <> s.id::varchar
      and (s.client_id is null or s.client_id <> all (array(select core.crisis_clients())))";

/// One client's sessions, newest first; no row where the client is not seen as one cared for, and one without an id where
/// there is none. `$1` client, `$2` and `$3` the row to go on behind, `$4` limit.
pub(crate) const OF_CLIENT: &str = "
    with person as (
        select u.user_id
        from core.users u
        where u.user_id = $1 and u.kind = 'client' and u.user_id <> all (array(select core.crisis_clients())))
    select p.user_id as client_id, s.id, s.session_key, s.employee_id, s.metadata, s.created_at
    from person p
    left join lateral (
        select l.id, l.session_key, l.employee_id, l.metadata, l.created_at
        from core.interaction_sessions l
        where l.client_id = $1 and (l.created_at, l.id) < ($2, $3)
        order by l.created_at desc, l.id desc
        limit $4) as s on true";

pub(crate) fn from_row(row: &Row) -> Result<Session, db::Error> {
    Ok(Session {
        id: row.try_get("id")?,
        session_key: row.try_get("session_key")?,
        parties: Parties {
            employee_id: row.try_get("employee_id")?,
            client_id: row.try_get("client_id")?,
        },
        metadata: row.try_get("metadata")?,
        created_at: row.try_get("created_at")?,
    })
}

/// The rows of [`OF_CLIENT`]; `None` where the client is not seen.
pub(crate) fn of_client(rows: &[Row]) -> Result<Option<Vec<Session>>, db::Error> {
    super::listed::<Uuid, _>(rows, "id", from_row)
}

/// Whether somebody (`$1`) is staff.
pub(crate) const IS_STAFF: &str =
    "select u.user_id from core.users u where u.user_id = $1 and u.kind = 'staff'";

/// Stores a session; `None` where its key is in use, whoever sees that one.
pub(crate) async fn insert(
    tx: &Tx,
    session_key: &str,
    new: &NewSession,
) -> Result<Option<Session>, db::Error> {
    let row = tx
        .query_opt(
            "insert into core.interaction_sessions (id, session_key, employee_id, client_id, metadata)
             values ($1, $2, $3, $4, $5)
             on conflict (session_key) do nothing
             returning id, session_key, employee_id, client_id, metadata, created_at",
            &[
                &Uuid::now_v7(),
                &session_key,
                &new.employee_id,
                &new.client_id,
                &new.metadata,
            ],
        )
        .await?;
    row.as_ref().map(from_row).transpose()
}

/// A session that the transaction sees.
pub(crate) async fn find(tx: &Tx, session_key: &str) -> Result<Option<Session>, db::Error> {
    tx.query_opt(FIND, &[&session_key])
        .await?
        .as_ref()
        .map(from_row)
        .transpose()
}

/// As [`find`], of a session that nobody else changes until the transaction ends. Its client is locked before, as an
/// erasure locks them, or nobody yet.
pub(crate) async fn lock(tx: &Tx, session_key: &str) -> Result<Option<Session>, db::Error> {
    let locked = format!("{FIND} for no key update");
    tx.query_opt(&locked, &[&session_key])
        .await?
        .as_ref()
        .map(from_row)
        .transpose()
}

/// Stores what is new of a locked session: its client where that was not known, its metadata where some came.
pub(crate) async fn update(tx: &Tx, id: Uuid, new: &NewSession) -> Result<Session, db::Error> {
    let row = tx
        .query_one(
            "update core.interaction_sessions s
             set client_id = coalesce(s.client_id, $2), metadata = coalesce($3, s.metadata)
             where s.id = $1
             returning s.id, s.session_key, s.employee_id, s.client_id, s.metadata, s.created_at",
            &[&id, &new.client_id, &new.metadata],
        )
        .await?;
    from_row(&row)
}
