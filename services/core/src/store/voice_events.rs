//! `core.voice_events`: what was spoken to clients, by hash.

use chrono::{DateTime, Utc};
use db::{Row, Tx};

use super::provider_events::{Stored, asked_for, stored};
use crate::domain::provider::NewVoiceEvent;

/// Stores an event; `None` where the client it names is not seen.
pub(crate) async fn insert(tx: &Tx, event: &NewVoiceEvent) -> Result<Option<Stored>, db::Error> {
    let row = tx
        .query_opt(
            "insert into core.voice_events (user_id, provider_name, text_hash, language, status, duration_ms, audio_uri,
                metadata, request_id)
             select u.user_id, $2, $3, $4, $5, $6, $7, $8, $9
             from (values ($1::varchar)) as named (user_id)
             left join core.users u on u.user_id = named.user_id and u.kind = 'client'
             where named.user_id is null or u.user_id is not null
             returning id, created_at",
            &[
                &event.user_id,
                &event.provider_name,
                &event.text_hash,
                &event.language,
                &event.status,
                &event.duration_ms,
                &event.audio_uri,
                &event.metadata,
                &event.request_id,
            ],
        )
        .await?;
    row.as_ref().map(stored).transpose()
}

/// An event as who runs the programme sees it: without the hash of what was spoken, where it can be heard, and what the
/// program told besides.
#[derive(Clone, Debug)]
pub(crate) struct VoiceEvent {
    pub(crate) id: i64,
    pub(crate) user_id: Option<String>,
    pub(crate) provider_name: String,
    pub(crate) language: Option<String>,
    pub(crate) status: String,
    pub(crate) duration_ms: Option<i32>,
    pub(crate) request_id: Option<String>,
    pub(crate) created_at: DateTime<Utc>,
}

/// Events, newest first. `$1` request and `$2` client, each or null; `$3` from and `$4` until when, `$5` and `$6` the row
/// to go on behind, `$7` limit.
pub(crate) fn list_sql(of_request: bool, of_client: bool) -> String {
    format!(
        "select e.id, e.user_id, e.provider_name, e.language, e.status, e.duration_ms, e.request_id, e.created_at
         from core.voice_events e
         where {} and e.created_at >= $3 and e.created_at < $4 and (e.created_at, e.id) < ($5, $6)
         order by e.created_at desc, e.id desc
         limit $7",
        asked_for(of_request, of_client)
    )
}

pub(crate) fn from_row(row: &Row) -> Result<VoiceEvent, db::Error> {
    Ok(VoiceEvent {
        id: row.try_get("id")?,
        user_id: row.try_get("user_id")?,
        provider_name: row.try_get("provider_name")?,
        language: row.try_get("language")?,
        status: row.try_get("status")?,
        duration_ms: row.try_get("duration_ms")?,
        request_id: row.try_get("request_id")?,
        created_at: row.try_get("created_at")?,
    })
}
