//! What staff say to each other on an escalation: comments, and notes for who takes it next.

use actix_web::web::{Data, Path, ThinData};
use actix_web::{HttpResponse, get, post};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use web::{Answer, Caller, CursorKey, Fields, Granted, Id, Newest, Page, Paging, Query, Read, Write, read};

use super::{ANSWER, MAX_NOTES_BYTES};
use crate::error::Error;
use crate::state::State;
use crate::store::comments::{self, Comment};
use crate::store::escalations;

const KINDS: &[&str] = &["comment", "handover"];

/// A comment.
#[derive(ToSchema)]
struct NewComment {
    /// comment, the default, or handover: a note for who takes the escalation next.
    #[schema(value_type = Option<String>)]
    kind: &'static str,
    /// Up to 8 KiB.
    comment: String,
}

impl Read for NewComment {
    const MAX_BODY_BYTES: usize = 16 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let kind = fields.optional("kind", read::one_of(KINDS));
        let comment = fields.required("comment", read::words(1..=MAX_NOTES_BYTES));
        Some(Self {
            kind: kind?.unwrap_or("comment"),
            comment: comment?,
        })
    }
}

/// A comment as it is read.
#[derive(Serialize, ToSchema)]
struct CommentView {
    comment_id: i64,
    escalation_id: i64,
    at: DateTime<Utc>,
    /// Who wrote it; null once that person has left.
    author_id: Option<String>,
    /// comment or handover.
    kind: String,
    comment: String,
}

impl From<Comment> for CommentView {
    fn from(found: Comment) -> Self {
        Self {
            comment_id: found.comment_id,
            escalation_id: found.escalation_id,
            at: found.at,
            author_id: found.author_id,
            kind: found.kind,
            comment: found.comment,
        }
    }
}

/// Comment on an escalation, also on one that has ended.
#[utoipa::path(
    tag = "escalations",
    request_body = NewComment,
    responses((status = 201, body = CommentView)),
    extensions(("x-principals" = json!(ANSWER)))
)]
#[post("/v1/escalations/{escalation_id}/comments")]
pub(crate) async fn create(
    state: Data<State>,
    escalation_id: Path<Id>,
    request: Write<NewComment>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&ANSWER)?;
    let tx = state.db.begin(&caller.actor()?).await?;
    web::write(tx, &caller, key, async |tx| {
        let made = comments::insert(
            tx,
            **escalation_id,
            &caller.principal.id,
            (body.kind, &body.comment),
            state.clock.fixed(),
        )
        .await?
        .ok_or(Error::NotFound)?;
        let client = made.client_id.clone();
        let location = format!("/v1/escalations/{}/comments", **escalation_id);
        Ok::<_, Error>(Answer::created(location, &CommentView::from(made))?.about([client]))
    })
    .await
}

/// The comments on an escalation, newest first.
#[utoipa::path(
    tag = "escalations",
    params(("limit" = Option<i64>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Page<CommentView>)),
    extensions(("x-principals" = json!(ANSWER)))
)]
#[get("/v1/escalations/{escalation_id}/comments")]
pub(crate) async fn list(
    state: Data<State>,
    escalation_id: Path<Id>,
    Query(paging): Query<Paging>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&ANSWER)?;
    let actor = caller.actor()?;
    let name = format!("comments/{}", **escalation_id);
    let Newest(at, id) = cursors.open(&name, &caller, &paging)?.unwrap_or_default();
    let episode = state
        .db
        .read(&actor, &escalations::find_sql(), &[&**escalation_id])
        .await?;
    let client = escalations::from_row(episode.first().ok_or(Error::NotFound)?)?.user_id;
    let limit = paging.limit + 1;
    let params: db::Params<'_> = &[&**escalation_id, &at, &id, &limit];
    let rows = state.db.read(&actor, comments::LIST, params).await?;
    let found = rows
        .iter()
        .map(comments::from_row)
        .collect::<Result<Vec<_>, _>>()?;
    let page = Page::cut(found, paging.limit, |last| {
        cursors.seal(&name, &caller, &paging, &Newest(last.at, last.comment_id))
    });
    Ok(caller.disclose(client, &page.map(CommentView::from)).await?)
}
