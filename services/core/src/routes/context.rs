//! What the companion needs to know of a client before it speaks, in one round trip.

use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, get};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;
use web::{Caller, Holder, Identifier, NOBODY_ELSE, Params, Query, ReadQuery};

use super::preferences::READ;
use crate::error::Error;
use crate::state::State;
use crate::store::contexts::{self, Context, Recent, Stated};

const MAX_PREFERENCES: i64 = 1_000;
const MAX_SESSIONS: i64 = 100;
const DEFAULT_SESSIONS: i64 = 10;

/// How much is asked for.
struct ContextQuery {
    sessions_limit: i64,
}

impl ReadQuery for ContextQuery {
    fn read(params: &mut Params) -> Option<Self> {
        let sessions_limit = params.integer("sessions_limit", 1..=MAX_SESSIONS);
        Some(Self {
            sessions_limit: sessions_limit?.unwrap_or(DEFAULT_SESSIONS),
        })
    }
}

/// Who the client is.
#[derive(Serialize, ToSchema)]
struct ProfileView {
    id: String,
    external_id: Option<String>,
    display_name: Option<String>,
    /// For staff; null for the client and the app.
    notes: Option<String>,
    /// Whether the client consents to biometrics now.
    consent_for_biometrics: bool,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// What the client likes or dislikes.
#[derive(Serialize, ToSchema)]
struct PreferenceView {
    id: i64,
    /// like or dislike.
    kind: String,
    category: String,
    value: String,
    source_session_id: Option<String>,
    created_at: DateTime<Utc>,
}

/// A session of the client.
#[derive(Serialize, ToSchema)]
struct RecentSession {
    id: Uuid,
    session_key: String,
    employee_id: Option<String>,
    client_id: String,
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
    created_at: DateTime<Utc>,
}

/// What is to be known of a client.
#[derive(Serialize, ToSchema)]
struct ContextView {
    profile: ProfileView,
    /// The newest 1,000 at most, newest first.
    preferences: Vec<PreferenceView>,
    /// Newest first.
    recent_sessions: Vec<RecentSession>,
}

impl ContextView {
    fn to(caller: &Caller, found: Context) -> Self {
        let client_id = found.user_id.clone();
        let recent = |session: Recent| RecentSession {
            id: session.id,
            session_key: session.session_key,
            employee_id: session.employee_id,
            client_id: client_id.clone(),
            metadata: session.metadata,
            created_at: session.created_at,
        };
        Self {
            recent_sessions: found.recent_sessions.into_iter().map(recent).collect(),
            preferences: found.preferences.into_iter().map(PreferenceView::from).collect(),
            profile: ProfileView {
                id: found.user_id,
                external_id: found.external_id,
                display_name: found.display_name,
                notes: found.notes.filter(|_| caller.principal.holder == Holder::Staff),
                consent_for_biometrics: found.consents_to_biometrics,
                created_at: found.created_at,
                updated_at: found.updated_at,
            },
        }
    }
}

impl From<Stated> for PreferenceView {
    fn from(found: Stated) -> Self {
        Self {
            id: found.id,
            kind: found.kind,
            category: found.category,
            value: found.value,
            source_session_id: found.source_session_id,
            created_at: found.created_at,
        }
    }
}

/// A client's profile, stated preferences and last sessions.
#[utoipa::path(
    tag = "context",
    params(
        ("user_id" = String, Path),
        ("sessions_limit" = Option<i64>, Query, description = "1 to 100 sessions; by default 10")
    ),
    responses((status = 200, body = ContextView)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/users/{user_id}/context")]
pub(crate) async fn find(
    state: Data<State>,
    user_id: Path<Identifier>,
    Query(query): Query<ContextQuery>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    context(&state, &user_id, &query, &caller).await
}

/// As `/v1/users/{user_id}/context`, under the path that seed 003 gave it.
#[utoipa::path(
    tag = "seed paths",
    params(
        ("user_id" = String, Path),
        ("sessions_limit" = Option<i64>, Query, description = "1 to 100 sessions; by default 10")
    ),
    responses((status = 200, body = ContextView)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/customers/{user_id}/context")]
pub(crate) async fn find_as_in_the_seed(
    state: Data<State>,
    user_id: Path<Identifier>,
    Query(query): Query<ContextQuery>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    context(&state, &user_id, &query, &caller).await
}

async fn context(
    state: &State,
    user_id: &Identifier,
    query: &ContextQuery,
    caller: &Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let params: db::Params<'_> = &[&&**user_id, &MAX_PREFERENCES, &query.sessions_limit];
    let actor = caller.actor_for(user_id)?;
    let rows = state.db.read(&actor, contexts::FIND, params).await?;
    let found = contexts::from_row(rows.first().ok_or(Error::NotFound)?)?;
    Ok(caller
        .disclose(NOBODY_ELSE, &ContextView::to(caller, found))
        .await?)
}
