//! What clients say they like and dislike.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path, ThinData};
use actix_web::{HttpResponse, delete, get, post};
use chrono::{DateTime, Utc};
use common::Probability;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use web::{
    Answer, Caller, Code, CursorKey, Fields, Granted, Id, Identifier, NOBODY_ELSE, Page, Paging, Problem,
    Query, Read, Write, read,
};

use super::preferences::{READ, WRITE};
use crate::domain::preferences::{KINDS, NewStatement};
use crate::error::Error;
use crate::state::State;
use crate::store::stated_preferences::{self, Statement};

const MAX_CATEGORY_BYTES: usize = 100;
const MAX_VALUE_BYTES: usize = 500;

/// Whose, and which.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct Place {
    #[param(value_type = String)]
    user_id: Identifier,
    #[param(value_type = i64)]
    preference_id: Id,
}

/// What a client likes or dislikes.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "describes the body; NewStatement is what it is read into"
)]
struct StatementBody {
    /// like or dislike.
    #[schema(example = "like")]
    kind: String,
    #[schema(max_length = 100, example = "activity")]
    category: String,
    #[schema(max_length = 500, example = "walks by the river")]
    value: String,
    /// How much it counts, 0 to 1; by default 1.
    weight: Option<f64>,
    /// The role of the companion it was said to; by default it holds for all.
    #[schema(example = "local_guide")]
    role: Option<String>,
    /// The session in which it was said.
    source_session_id: Option<String>,
}

impl Read for NewStatement {
    const MAX_BODY_BYTES: usize = 16 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let kind = fields.required("kind", read::one_of(KINDS));
        let category = fields.required("category", read::text(1..=MAX_CATEGORY_BYTES));
        let value = fields.required("value", read::text(1..=MAX_VALUE_BYTES));
        let weight = fields.optional("weight", |value| {
            let weight = Probability::new(read::number(value)?);
            weight.ok_or_else(|| web::Fault::new("must be a number from 0 to 1"))
        });
        let role = fields.optional("role", read::identifier);
        let source_session_id = fields.optional("source_session_id", read::identifier);
        Some(Self {
            kind: kind?,
            category: category?,
            value: value?,
            weight: weight?,
            role: role?,
            source_session_id: source_session_id?,
        })
    }
}

/// What a client likes or dislikes.
#[derive(Serialize, ToSchema)]
struct StatementView {
    id: i64,
    /// like or dislike.
    kind: String,
    category: String,
    value: String,
    weight: f64,
    role: Option<String>,
    source_session_id: Option<String>,
    created_at: DateTime<Utc>,
}

impl From<Statement> for StatementView {
    fn from(found: Statement) -> Self {
        Self {
            id: found.id,
            kind: found.kind,
            category: found.category,
            value: found.value,
            weight: found.weight,
            role: found.role,
            source_session_id: found.source_session_id,
            created_at: found.created_at,
        }
    }
}

/// A preference that was stated; what it says is not sent back: answers are kept as well, and longer than what is forgotten.
#[derive(Serialize, ToSchema)]
struct KeptStatement {
    id: i64,
    created_at: DateTime<Utc>,
}

impl From<Statement> for KeptStatement {
    fn from(kept: Statement) -> Self {
        Self {
            id: kept.id,
            created_at: kept.created_at,
        }
    }
}

/// State a preference. The same again changes nothing. It is not sent back.
#[utoipa::path(
    tag = "preferences",
    params(("user_id" = String, Path)),
    request_body = StatementBody,
    responses(
        (status = 201, body = KeptStatement),
        (status = 200, description = "It stands already", body = KeptStatement),
        (status = 409, description = "The same thing stands with another kind or weight")
    ),
    extensions(("x-principals" = json!(WRITE)))
)]
#[post("/v1/users/{user_id}/stated-preferences")]
pub(crate) async fn state_preference(
    state: Data<State>,
    user_id: Path<Identifier>,
    request: Write<NewStatement>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&WRITE)?;
    let tx = state.db.begin(&caller.actor_for(&user_id)?).await?;
    web::write(tx, &caller, key, async |tx| {
        let stored = stated_preferences::insert(tx, &user_id, &body).await?;
        let (statement, is_new) = stored.ok_or(Error::NotFound)?;
        if !is_new && !body.repeats(&statement.kind, statement.weight) {
            return Err(differs(statement.id).into());
        }
        let status = if is_new {
            StatusCode::CREATED
        } else {
            StatusCode::OK
        };
        Ok(Answer::json(status, &KeptStatement::from(statement))?)
    })
    .await
}

fn differs(id: i64) -> Problem {
    Problem::conflict(
        Code::Differs,
        format!("Preference {id} says something else of the same thing. Delete it first."),
    )
}

/// Forget a preference.
#[utoipa::path(
    tag = "preferences",
    params(Place),
    responses((status = 204, description = "It is forgotten")),
    extensions(("x-principals" = json!(WRITE)))
)]
#[delete("/v1/users/{user_id}/stated-preferences/{preference_id}")]
pub(crate) async fn forget(
    state: Data<State>,
    path: Path<Place>,
    request: Write<()>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, key, .. } = request.allow(&WRITE)?;
    let tx = state.db.begin(&caller.actor_for(&path.user_id)?).await?;
    web::write(tx, &caller, key, async |tx| {
        if stated_preferences::delete(tx, &path.user_id, *path.preference_id).await? {
            Ok(Answer::no_content())
        } else {
            Err(Error::NotFound)
        }
    })
    .await
}

/// What a client likes and dislikes, newest first.
#[utoipa::path(
    tag = "preferences",
    params(
        ("user_id" = String, Path),
        ("limit" = Option<i64>, Query),
        ("cursor" = Option<String>, Query)
    ),
    responses((status = 200, body = Page<StatementView>)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/users/{user_id}/stated-preferences")]
pub(crate) async fn list(
    state: Data<State>,
    user_id: Path<Identifier>,
    Query(paging): Query<Paging>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let list = format!("stated preferences of {}", *user_id);
    let before: i64 = cursors.open(&list, &caller, &paging)?.unwrap_or(i64::MAX);
    let limit = paging.limit + 1;
    let params: db::Params<'_> = &[&&**user_id, &before, &limit];
    let actor = caller.actor_for(&user_id)?;
    let rows = state.db.read(&actor, stated_preferences::LIST, params).await?;
    let found = stated_preferences::listed(&rows)?.ok_or(Error::NotFound)?;
    let items = found.into_iter().map(StatementView::from).collect();
    let page = Page::cut(items, paging.limit, |last: &StatementView| {
        cursors.seal(&list, &caller, &paging, &last.id)
    });
    Ok(caller.disclose(NOBODY_ELSE, &page).await?)
}
