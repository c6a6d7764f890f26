//! What reviewers say about the companion's replies.

use actix_web::web::{Data, Path, ThinData};
use actix_web::{HttpResponse, get, post};
use chrono::{DateTime, Utc};
use common::PrincipalKind;
use serde::Serialize;
use utoipa::ToSchema;
use web::{
    Allowed, Answer, Caller, CursorKey, Fields, Granted, Id, Page, Paging, Params, Query, Read, ReadQuery,
    Write, read,
};

use crate::error::Error;
use crate::state::State;
use crate::store::ai_metadata::{self, Known, Mistake, Review};

const REVIEW: Allowed = Allowed(&[PrincipalKind::Counselor, PrincipalKind::Supervisor]);
/// Cursors of this list.
const LIST_NAME: &str = "mistakes";
const MAX_NOTE_BYTES: usize = 4_000;
const MAX_NAME_BYTES: usize = 100;

/// Whether a reply was a mistake.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; Review is what it is read into")]
struct ReviewBody {
    is_mistake: bool,
    /// What was wrong with it; of a mistake alone.
    #[schema(max_length = 4000)]
    mistake_note: Option<String>,
}

impl Read for Review {
    const MAX_BODY_BYTES: usize = 32 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let is_mistake = fields.required("is_mistake", read::boolean);
        let mistake_note = fields.optional("mistake_note", read::long_text(1..=MAX_NOTE_BYTES));
        let (is_mistake, mistake_note) = (is_mistake?, mistake_note?);
        if !is_mistake && mistake_note.is_some() {
            fields.fault("mistake_note", "is for mistakes");
            return None;
        }
        Some(Self {
            is_mistake,
            mistake_note,
        })
    }
}

/// Say whether a reply of the companion was a mistake. The last word holds.
#[utoipa::path(
    tag = "messages",
    params(("reply_id" = i64, Path)),
    request_body = ReviewBody,
    responses((status = 204, description = "It is kept")),
    extensions(("x-principals" = json!(REVIEW)))
)]
#[post("/v1/messages/{reply_id}/review")]
pub(crate) async fn review(
    state: Data<State>,
    reply_id: Path<Id>,
    request: Write<Review>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&REVIEW)?;
    let tx = state.db.begin(&caller.actor()?).await?;
    web::write(tx, &caller, key, async |tx| {
        let of = ai_metadata::review(tx, **reply_id, &body, &caller.principal.id).await?;
        Ok(Answer::no_content().about([of.ok_or(Error::NotFound)?]))
    })
    .await
}

/// What reviewers said of a reply.
#[derive(Serialize, ToSchema)]
pub(super) struct ReviewView {
    is_mistake: bool,
    mistake_note: Option<String>,
    /// Who reviewed it last; null where nobody did, or the account is gone.
    reviewed_by: Option<String>,
    reviewed_at: Option<DateTime<Utc>>,
}

impl ReviewView {
    pub(super) fn of(known: &Known) -> Self {
        Self {
            is_mistake: known.is_mistake(),
            mistake_note: known.mistake_note.clone(),
            reviewed_by: known.reviewed_by.clone(),
            reviewed_at: known.reviewed_at,
        }
    }
}

/// A reply that a reviewer holds for a mistake.
#[derive(Serialize, ToSchema)]
struct MistakeView {
    message_id: i64,
    user_id: String,
    message_text: String,
    timestamp: DateTime<Utc>,
    model_name: Option<String>,
    ai_core_version: Option<String>,
    mistake_note: Option<String>,
    reviewed_by: Option<String>,
    reviewed_at: Option<DateTime<Utc>>,
}

impl From<Mistake> for MistakeView {
    fn from(found: Mistake) -> Self {
        Self {
            message_id: found.message_id,
            user_id: found.user_id,
            message_text: found.message_text,
            timestamp: found.timestamp,
            model_name: found.model_name,
            ai_core_version: found.ai_core_version,
            mistake_note: found.mistake_note,
            reviewed_by: found.reviewed_by,
            reviewed_at: found.reviewed_at,
        }
    }
}

/// Which mistakes are asked for.
struct ListQuery {
    model_name: Option<String>,
    ai_core_version: Option<String>,
    paging: Paging,
}

impl ReadQuery for ListQuery {
    fn read(params: &mut Params) -> Option<Self> {
        let model_name = params.optional("model_name", read::text(1..=MAX_NAME_BYTES));
        let ai_core_version = params.optional("ai_core_version", read::text(1..=MAX_NAME_BYTES));
        let paging = Paging::read(params);
        Some(Self {
            model_name: model_name?,
            ai_core_version: ai_core_version?,
            paging: paging?,
        })
    }
}

/// Replies to the own clients that were mistakes, newest first, by model and version.
#[utoipa::path(
    tag = "messages",
    params(
        ("model_name" = Option<String>, Query),
        ("ai_core_version" = Option<String>, Query),
        ("limit" = Option<i64>, Query),
        ("cursor" = Option<String>, Query)
    ),
    responses((status = 200, body = Page<MistakeView>)),
    extensions(("x-principals" = json!(REVIEW)))
)]
#[get("/v1/mistakes")]
pub(crate) async fn list(
    state: Data<State>,
    Query(query): Query<ListQuery>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&REVIEW)?;
    let before: i64 = cursors
        .open(LIST_NAME, &caller, &query.paging)?
        .unwrap_or(i64::MAX);
    let limit = query.paging.limit + 1;
    let params: db::Params<'_> = &[&query.model_name, &query.ai_core_version, &before, &limit];
    let rows = state
        .db
        .read(&caller.actor()?, ai_metadata::MISTAKES, params)
        .await?;
    let items = rows
        .iter()
        .map(|row| Ok(ai_metadata::mistake_from_row(row)?.into()))
        .collect::<Result<Vec<MistakeView>, db::Error>>()?;
    let page = Page::cut(items, query.paging.limit, |last| {
        cursors.seal(LIST_NAME, &caller, &query.paging, &last.message_id)
    });
    let people: Vec<String> = page.items.iter().map(|item| item.user_id.clone()).collect();
    Ok(caller.disclose(people, &page).await?)
}
