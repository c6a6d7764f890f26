//! `core.provider_events`: how calls of providers went.

use chrono::{DateTime, Utc};
use db::{Row, Tx};

use crate::domain::provider::NewProviderEvent;

/// A stored event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stored {
    pub(crate) id: i64,
    pub(crate) created_at: DateTime<Utc>,
}

pub(super) fn stored(row: &Row) -> Result<Stored, db::Error> {
    Ok(Stored {
        id: row.try_get("id")?,
        created_at: row.try_get("created_at")?,
    })
}

/// Stores an event; `None` where the client it names is not seen.
pub(crate) async fn insert(tx: &Tx, event: &NewProviderEvent) -> Result<Option<Stored>, db::Error> {
    let row = tx
        .query_opt(
            "insert into core.provider_events (user_id, scope, provider_name, runtime, status, fallback_reason, metadata,
                request_id)
             select u.user_id, $2, $3, $4, $5, $6, $7, $8
             from (values ($1::varchar)) as named (user_id)
             left join core.users u on u.user_id = named.user_id and u.kind = 'client'
             where named.user_id is null or u.user_id is not null
             returning id, created_at",
            &[
                &event.user_id,
                &event.scope,
                &event.provider_name,
                &event.runtime,
                &event.status,
                &event.fallback_reason,
                &event.metadata,
                &event.request_id,
            ],
        )
        .await?;
    row.as_ref().map(stored).transpose()
}

/// An event as who runs the programme sees it: without what the program told besides.
#[derive(Clone, Debug)]
pub(crate) struct ProviderEvent {
    pub(crate) id: i64,
    pub(crate) user_id: Option<String>,
    pub(crate) scope: String,
    pub(crate) provider_name: String,
    pub(crate) runtime: Option<String>,
    pub(crate) status: String,
    pub(crate) fallback_reason: Option<String>,
    pub(crate) request_id: Option<String>,
    pub(crate) created_at: DateTime<Utc>,
}

/// Which events of `e` are asked for: those of a request (`$1`) or of a client (`$2`), each or null. What is not asked for
/// is not in the condition: "or is null" reaches no index.
pub(super) fn asked_for(of_request: bool, of_client: bool) -> &'static str {
    match (of_request, of_client) {
        (true, _) => "e.request_id = $1 and ($2::varchar is null or e.user_id = $2)",
        (false, true) => "e.user_id = $2 and $1::varchar is null",
        (false, false) => "$1::varchar is null and $2::varchar is null",
    }
}

/// Events, newest first. `$1` request and `$2` client, each or null; `$3` from and `$4` until when, `$5` and `$6` the row
/// to go on behind, `$7` limit.
pub(crate) fn list_sql(of_request: bool, of_client: bool) -> String {
    format!(
        "select e.id, e.user_id, e.scope, e.provider_name, e.runtime, e.status, e.fallback_reason, e.request_id,
            e.created_at
         from core.provider_events e
         where {} and e.created_at >= $3 and e.created_at < $4 and (e.created_at, e.id) < ($5, $6)
         order by e.created_at desc, e.id desc
         limit $7",
        asked_for(of_request, of_client)
    )
}

pub(crate) fn from_row(row: &Row) -> Result<ProviderEvent, db::Error> {
    Ok(ProviderEvent {
        id: row.try_get("id")?,
        user_id: row.try_get("user_id")?,
        scope: row.try_get("scope")?,
        provider_name: row.try_get("provider_name")?,
        runtime: row.try_get("runtime")?,
        status: row.try_get("status")?,
        fallback_reason: row.try_get("fallback_reason")?,
        request_id: row.try_get("request_id")?,
        created_at: row.try_get("created_at")?,
    })
}
