//! What nudges say, by kind and language. The programme keeps the texts.

use actix_web::web::{Data, Path, ThinData};
use actix_web::{HttpResponse, delete, get, post, put};
use chrono::{DateTime, Utc};
use common::PrincipalKind;
use serde::Serialize;
use utoipa::ToSchema;
use web::{
    Allowed, Answer, Caller, Code, CursorKey, Fault, Fields, Granted, Id, NOBODY_ELSE, Page, Paging, Problem,
    Query, Read, Write, read,
};

use crate::domain::nudge::is_kind;
use crate::domain::template::{is_fillable, locale};
use crate::error::Error;
use crate::state::State;
use crate::store::nudge_templates::{self, Kept, Written};

/// Counselors send what is kept.
const READ: Allowed = Allowed(&[
    PrincipalKind::Counselor,
    PrincipalKind::Supervisor,
    PrincipalKind::Admin,
]);
const KEEP: Allowed = Allowed(&[PrincipalKind::Supervisor, PrincipalKind::Admin]);

const MAX_MESSAGE_BYTES: usize = 2 * 1024;
const LIST_NAME: &str = "nudge templates";
const KIND: &str = "lower-case letters, digits and underscores, such as coping_exercise";
const LOCALE: &str = "a language tag, such as de-AT";

/// What a kind of nudge says in a language.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; Written is what it is read into")]
struct TemplateBody {
    #[schema(max_length = 100, pattern = "^[a-z0-9_]+$", example = "coping_exercise")]
    nudge_type: String,
    /// BCP 47. A client reads the text in the closest language; en is for everybody.
    #[schema(max_length = 35, example = "de-AT")]
    locale: String,
    /// Up to 2 KiB. {name} of the client and {crisis_line} of the region are filled in; a client of whom one is not known
    /// reads the text in the next language.
    message: String,
    /// By default true; one text of a kind and language is active.
    active: Option<bool>,
}

impl Read for Written {
    const MAX_BODY_BYTES: usize = 8 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let nudge_type = fields.required(
            "nudge_type",
            read::parsed(|word| is_kind(word).then(|| word.to_owned()), KIND),
        );
        let locale = fields.required("locale", read::parsed(locale, LOCALE));
        let message = fields.required("message", |value| {
            let message = read::words(1..=MAX_MESSAGE_BYTES)(value)?;
            if is_fillable(&message) {
                Ok(message)
            } else {
                Err(Fault::new(
                    "may have {name} and {crisis_line} in braces and nothing else",
                ))
            }
        });
        let active = fields.optional("active", read::boolean);
        Some(Self {
            nudge_type: nudge_type?,
            locale: locale?,
            message: message?,
            active: active?.unwrap_or(true),
        })
    }
}

/// A text that is kept.
#[derive(Serialize, ToSchema)]
struct TemplateView {
    template_id: i64,
    nudge_type: String,
    locale: String,
    message: String,
    active: bool,
    /// When it was last written.
    updated_at: DateTime<Utc>,
}

impl From<Kept> for TemplateView {
    fn from(kept: Kept) -> Self {
        Self {
            template_id: kept.template_id,
            nudge_type: kept.text.nudge_type,
            locale: kept.text.locale,
            message: kept.text.message,
            active: kept.text.active,
            updated_at: kept.updated_at,
        }
    }
}

/// What the database refuses, in words.
fn refused(error: db::Error) -> Error {
    match error.constraint() {
        Some("uq_nudge_templates_active") => Problem::conflict(
            Code::Taken,
            "Another text of this nudge_type and locale is active. Write it anew, or set it inactive first.",
        )
        .into(),
        Some("ck_nudge_templates_crisis") => Problem::conflict(
            Code::WrongState,
            "The text of crisis_resources in en is everybody's last: it stays active, and has no placeholders.",
        )
        .into(),
        _ => error.into(),
    }
}

/// Keep another text.
#[utoipa::path(
    tag = "nudges",
    request_body = TemplateBody,
    responses((status = 201, body = TemplateView)),
    extensions(("x-principals" = json!(KEEP)))
)]
#[post("/v1/nudge-templates")]
pub(crate) async fn create(state: Data<State>, request: Write<Written>) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&KEEP)?;
    let tx = state.db.begin_worker().await?;
    web::write(tx, &caller, key, async |tx| {
        let kept = nudge_templates::insert(tx, &body).await.map_err(refused)?;
        let place = format!("/v1/nudge-templates/{}", kept.template_id);
        Ok::<_, Error>(Answer::created(place, &TemplateView::from(kept))?)
    })
    .await
}

/// The texts that are kept.
#[utoipa::path(
    tag = "nudges",
    params(("limit" = Option<i64>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Page<TemplateView>)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/nudge-templates")]
pub(crate) async fn list(
    state: Data<State>,
    Query(paging): Query<Paging>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let after: i64 = cursors.open(LIST_NAME, &caller, &paging)?.unwrap_or_default();
    let limit = paging.limit + 1;
    let rows = state
        .db
        .call(&nudge_templates::list_sql(), &[&after, &limit])
        .await?;
    let found = rows
        .iter()
        .map(nudge_templates::kept_from_row)
        .collect::<Result<Vec<_>, _>>()?;
    let page = Page::cut(found, paging.limit, |last| {
        cursors.seal(LIST_NAME, &caller, &paging, &last.template_id)
    });
    Ok(caller
        .disclose(NOBODY_ELSE, &page.map(TemplateView::from))
        .await?)
}

/// One text.
#[utoipa::path(
    tag = "nudges",
    params(("template_id" = i64, Path)),
    responses((status = 200, body = TemplateView)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/nudge-templates/{template_id}")]
pub(crate) async fn find(
    state: Data<State>,
    template_id: Path<Id>,
    _: Query<()>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let rows = state
        .db
        .call(&nudge_templates::find_sql(), &[&**template_id])
        .await?;
    let found = nudge_templates::kept_from_row(rows.first().ok_or(Error::NotFound)?)?;
    Ok(caller.disclose(NOBODY_ELSE, &TemplateView::from(found)).await?)
}

/// Write a text anew. Nudges that were made keep what they say.
#[utoipa::path(
    tag = "nudges",
    params(("template_id" = i64, Path)),
    request_body = TemplateBody,
    responses((status = 200, body = TemplateView)),
    extensions(("x-principals" = json!(KEEP)))
)]
#[put("/v1/nudge-templates/{template_id}")]
pub(crate) async fn replace(
    state: Data<State>,
    template_id: Path<Id>,
    request: Write<Written>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&KEEP)?;
    let tx = state.db.begin_worker().await?;
    web::write(tx, &caller, key, async |tx| {
        let kept = nudge_templates::replace(tx, **template_id, &body)
            .await
            .map_err(refused)?;
        Ok::<_, Error>(Answer::ok(&TemplateView::from(kept.ok_or(Error::NotFound)?))?)
    })
    .await
}

/// Keep a text no longer.
#[utoipa::path(
    tag = "nudges",
    params(("template_id" = i64, Path)),
    responses((status = 204, description = "It is gone")),
    extensions(("x-principals" = json!(KEEP)))
)]
#[delete("/v1/nudge-templates/{template_id}")]
pub(crate) async fn remove(
    state: Data<State>,
    template_id: Path<Id>,
    request: Write<()>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, key, .. } = request.allow(&KEEP)?;
    let tx = state.db.begin_worker().await?;
    web::write(tx, &caller, key, async |tx| {
        let is_there = nudge_templates::delete(tx, **template_id)
            .await
            .map_err(refused)?;
        if is_there {
            Ok(Answer::no_content())
        } else {
            Err(Error::NotFound)
        }
    })
    .await
}
