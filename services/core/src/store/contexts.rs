//! What the companion needs to know of a client, from three tables in one statement: query 3 of seed 003.

use chrono::{DateTime, Utc};
use db::{Json, Row};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

/// A client with what they stated and the last sessions.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) user_id: String,
    pub(crate) external_id: Option<String>,
    pub(crate) display_name: Option<String>,
    pub(crate) notes: Option<String>,
    pub(crate) consents_to_biometrics: bool,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
    pub(crate) preferences: Vec<Stated>,
    pub(crate) recent_sessions: Vec<Recent>,
}

/// What the client likes or dislikes.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Stated {
    pub(crate) id: i64,
    pub(crate) kind: String,
    pub(crate) category: String,
    pub(crate) value: String,
    pub(crate) source_session_id: Option<String>,
    pub(crate) created_at: DateTime<Utc>,
}

/// A session of the client.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Recent {
    pub(crate) id: Uuid,
    pub(crate) session_key: String,
    pub(crate) employee_id: Option<String>,
    pub(crate) metadata: Option<Value>,
    pub(crate) created_at: DateTime<Utc>,
}

/// One client's context; no row where the client is not seen as one cared for. `$1` client, `$2` how many preferences and
/// `$3` how many sessions at most, the newest ones first.
pub(crate) const FIND: &str = "
    select u.user_id, u.external_id, u.display_name, u.notes, u.created_at, u.updated_at,
        core.has_consent(u.user_id, 'biometrics', 'programme') as consents_to_biometrics,
        (select coalesce(json_agg(row_to_json(p.*)), '[]')
         from (
            select s.id, s.kind, s.category, s.value, s.source_session_id, s.created_at
            from core.stated_preferences s
            where s.user_id = $1
            order by s.id desc
            limit $2) as p) as preferences,
        (select coalesce(json_agg(row_to_json(r.*)), '[]')
         from (
            select i.id, i.session_key, i.employee_id, i.metadata, i.created_at
            from core.interaction_sessions i
            where i.client_id = $1
            order by i.created_at desc, i.id desc
            limit $3) as r) as recent_sessions
    from core.users u
    where u.user_id = $1 and u.kind = 'client' and u.user_id <> all (array(select core.crisis_clients()))";

pub(crate) fn from_row(row: &Row) -> Result<Context, db::Error> {
    let Json(preferences) = row.try_get("preferences")?;
    let Json(recent_sessions) = row.try_get("recent_sessions")?;
    Ok(Context {
        user_id: row.try_get("user_id")?,
        external_id: row.try_get("external_id")?,
        display_name: row.try_get("display_name")?,
        notes: row.try_get("notes")?,
        consents_to_biometrics: row.try_get("consents_to_biometrics")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
        preferences,
        recent_sessions,
    })
}
