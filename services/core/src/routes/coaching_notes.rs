//! Notes of staff on a session: never for the client, nor for who acts for them.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path, ThinData};
use actix_web::{HttpResponse, get, post};
use chrono::{DateTime, Utc};
use common::PrincipalKind;
use serde::Serialize;
use utoipa::ToSchema;
use web::{
    Allowed, Answer, Caller, CursorKey, Fields, Granted, Identifier, Page, Paging, Query, Read, Write, read,
};

use super::interactions::held;
use crate::error::Error;
use crate::state::State;
use crate::store::coaching_notes::{self, Note};

const COACH: Allowed = Allowed(&[PrincipalKind::Counselor, PrincipalKind::Supervisor]);

const MAX_NOTE_BYTES: usize = 65_536;

/// A note.
#[derive(ToSchema)]
struct NoteBody {
    /// 1 to 65,536 bytes.
    note: String,
}

impl Read for NoteBody {
    const MAX_BODY_BYTES: usize = 512 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let note = fields.required("note", read::long_text(1..=MAX_NOTE_BYTES));
        Some(Self { note: note? })
    }
}

/// A note that is stored; its text is not sent back.
#[derive(Serialize, ToSchema)]
struct StoredNote {
    id: i64,
    created_at: DateTime<Utc>,
}

/// A note.
#[derive(Serialize, ToSchema)]
struct NoteView {
    id: i64,
    note: String,
    /// Null once that account is erased.
    author_id: Option<String>,
    created_at: DateTime<Utc>,
}

impl From<Note> for NoteView {
    fn from(found: Note) -> Self {
        Self {
            id: found.id,
            note: found.note,
            author_id: found.author_id,
            created_at: found.created_at,
        }
    }
}

/// Note something on a session.
#[utoipa::path(
    tag = "interactions",
    params(("session_key" = String, Path)),
    request_body = NoteBody,
    responses((status = 201, body = StoredNote)),
    extensions(("x-principals" = json!(COACH)))
)]
#[post("/v1/interactions/{session_key}/coaching-notes")]
pub(crate) async fn add(
    state: Data<State>,
    session_key: Path<Identifier>,
    request: Write<NoteBody>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&COACH)?;
    let tx = state.db.begin(&caller.actor()?).await?;
    web::write(tx, &caller, key, async |tx| {
        let session = held(tx, &session_key).await?;
        let note = coaching_notes::insert(tx, session.id, &body.note, &caller.principal.id).await?;
        let stored = StoredNote {
            id: note.id,
            created_at: note.created_at,
        };
        Ok(Answer::json(StatusCode::CREATED, &stored)?.about(session.parties.client_id))
    })
    .await
}

/// The notes on a session, newest first.
#[utoipa::path(
    tag = "interactions",
    params(
        ("session_key" = String, Path),
        ("limit" = Option<i64>, Query),
        ("cursor" = Option<String>, Query)
    ),
    responses((status = 200, body = Page<NoteView>)),
    extensions(("x-principals" = json!(COACH)))
)]
#[get("/v1/interactions/{session_key}/coaching-notes")]
pub(crate) async fn list(
    state: Data<State>,
    session_key: Path<Identifier>,
    Query(paging): Query<Paging>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&COACH)?;
    let list = format!("notes on {}", *session_key);
    let before: i64 = cursors.open(&list, &caller, &paging)?.unwrap_or(i64::MAX);
    let limit = paging.limit + 1;
    let params: db::Params<'_> = &[&&**session_key, &before, &limit];
    let rows = state
        .db
        .read(&caller.actor()?, coaching_notes::LIST, params)
        .await?;
    let found = coaching_notes::listed(&rows)?.ok_or(Error::NotFound)?;
    let items = found.items.into_iter().map(NoteView::from).collect();
    let page = Page::cut(items, paging.limit, |last: &NoteView| {
        cursors.seal(&list, &caller, &paging, &last.id)
    });
    Ok(caller.disclose(found.client_id, &page).await?)
}
