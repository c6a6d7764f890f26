//! `core.user_preferences`.

use chrono::{DateTime, Utc};
use db::{Json, Row, Tx};
use serde_json::Value;

use crate::domain::preferences::Preferences;

/// Preferences as they are read; those of a client who stated none are the defaults.
#[derive(Clone, Debug)]
pub(crate) struct Stated {
    pub(crate) custom_hours: Option<Value>,
    pub(crate) theme: Option<String>,
    pub(crate) communication_preferences: Value,
    pub(crate) onboarding_completed: bool,
    pub(crate) updated_at: Option<DateTime<Utc>>,
}

/// One client's preferences; no row where the client is not seen as one cared for. `$1` client.
pub(crate) const FIND: &str = "
    select p.custom_hours, p.theme, coalesce(p.communication_preferences, '{}') as communication_preferences,
        coalesce(p.onboarding_completed, false) as onboarding_completed, p.updated_at
    from core.users u
    left join core.user_preferences p on p.user_id = u.user_id
    where u.user_id = $1 and u.kind = 'client' and u.user_id <> all (array(select core.crisis_clients()))";

pub(crate) fn from_row(row: &Row) -> Result<Stated, db::Error> {
    Ok(Stated {
        custom_hours: row.try_get("custom_hours")?,
        theme: row.try_get("theme")?,
        communication_preferences: row.try_get("communication_preferences")?,
        onboarding_completed: row.try_get("onboarding_completed")?,
        updated_at: row.try_get("updated_at")?,
    })
}

/// Makes these a client's preferences; `None` where the client is not seen.
pub(crate) async fn replace(
    tx: &Tx,
    user_id: &str,
    preferences: &Preferences,
) -> Result<Option<Stated>, db::Error> {
    let row = tx
        .query_opt(
            "insert into core.user_preferences (user_id, custom_hours, theme, communication_preferences,
                onboarding_completed)
             select u.user_id, $2, $3, $4, $5 from core.users u where u.user_id = $1 and u.kind = 'client'
             on conflict (user_id) do update set custom_hours = excluded.custom_hours, theme = excluded.theme,
                communication_preferences = excluded.communication_preferences,
                onboarding_completed = excluded.onboarding_completed, updated_at = now()
             returning custom_hours, theme, communication_preferences, onboarding_completed, updated_at",
            &[
                &user_id,
                &preferences.custom_hours.as_ref().map(Json),
                &preferences.theme,
                &Json(&preferences.communication_preferences),
                &preferences.onboarding_completed,
            ],
        )
        .await?;
    row.as_ref().map(from_row).transpose()
}
