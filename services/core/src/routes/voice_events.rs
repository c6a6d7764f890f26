//! What was spoken to clients, by the hash of its text.

use actix_web::http::StatusCode;
use actix_web::web::{Data, ThinData};
use actix_web::{HttpResponse, get, post};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use url::Url;
use utoipa::ToSchema;
use web::{Answer, Caller, CursorKey, Fault, Fields, Granted, Newest, Page, Query, Read, Write, read};

use super::provider_events::{
    ListQuery, MAX_METADATA_BYTES, MAX_NAME_BYTES, MAX_REQUEST_ID_BYTES, READ, StoredEvent, TELL, begin, rows,
};
use crate::domain::provider::{self, NewVoiceEvent, STATUSES};
use crate::domain::user;
use crate::error::Error;
use crate::state::State;
use crate::store::voice_events::{self, VoiceEvent};

const MAX_URI_BYTES: usize = 2_000;
/// Cursors of this list.
const LIST_NAME: &str = "voice events";

/// What was spoken.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "describes the body; NewVoiceEvent is what it is read into"
)]
struct VoiceEventBody {
    /// To whom; by default whom the app acts for, or nobody in particular.
    user_id: Option<String>,
    #[schema(max_length = 100)]
    provider_name: String,
    /// 32 to 128 hexadecimal digits; the text itself is not kept.
    text_hash: String,
    /// BCP 47 language tag.
    #[schema(example = "de-AT")]
    language: Option<String>,
    /// success, degraded, failed or fallback.
    #[schema(example = "success")]
    status: String,
    /// Length of the audio, in milliseconds.
    #[schema(minimum = 0)]
    duration_ms: Option<i32>,
    /// Where the audio is; not shown again but to the person, like the metadata.
    #[schema(max_length = 2000)]
    audio_uri: Option<String>,
    /// Up to 16 KiB as JSON.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
    /// The request that led to it.
    #[schema(max_length = 128)]
    request_id: Option<String>,
}

impl Read for NewVoiceEvent {
    const MAX_BODY_BYTES: usize = 64 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let user_id = fields.optional("user_id", read::identifier);
        let provider_name = fields.required("provider_name", read::text(1..=MAX_NAME_BYTES));
        let text_hash = fields.required(
            "text_hash",
            read::parsed(provider::text_hash, "a hash of 32 to 128 hexadecimal digits"),
        );
        let language = fields.optional(
            "language",
            read::parsed(user::locale, "a language tag, such as de-AT"),
        );
        let status = fields.required("status", read::one_of(STATUSES));
        let duration_ms = fields.optional("duration_ms", read::integer(0..=i32::MAX));
        let audio_uri = fields.optional("audio_uri", |value| {
            let text = read::text(1..=MAX_URI_BYTES)(value)?;
            Url::parse(&text).map_err(|_| Fault::new("must be a URI"))?;
            Ok::<_, Fault>(text)
        });
        let metadata = fields.optional("metadata", read::object(MAX_METADATA_BYTES));
        let request_id = fields.optional("request_id", read::text(1..=MAX_REQUEST_ID_BYTES));
        Some(Self {
            user_id: user_id?,
            provider_name: provider_name?,
            text_hash: text_hash?,
            language: language?,
            status: status?,
            duration_ms: duration_ms?,
            audio_uri: audio_uri?,
            metadata: metadata?,
            request_id: request_id?,
        })
    }
}

/// Tell what was spoken to a client.
#[utoipa::path(
    tag = "provider events",
    request_body = VoiceEventBody,
    responses((status = 201, body = StoredEvent)),
    extensions(("x-principals" = json!(TELL)))
)]
#[post("/v1/voice-events")]
pub(crate) async fn tell(state: Data<State>, request: Write<NewVoiceEvent>) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&TELL)?;
    let event = NewVoiceEvent {
        user_id: body.user_id.or_else(|| caller.on_behalf_of.clone()),
        ..body
    };
    let tx = begin(&state, &caller, event.user_id.as_deref()).await?;
    web::write(tx, &caller, key, async |tx| {
        let stored = voice_events::insert(tx, &event).await?.ok_or(Error::NotFound)?;
        Ok(Answer::json(StatusCode::CREATED, &StoredEvent::from(stored))?.about(event.user_id.clone()))
    })
    .await
}

/// What was spoken, without its hash, its audio and the metadata, which say what it was.
#[derive(Serialize, ToSchema)]
struct VoiceEventView {
    id: i64,
    user_id: Option<String>,
    provider_name: String,
    language: Option<String>,
    /// success, degraded, failed or fallback.
    status: String,
    duration_ms: Option<i32>,
    request_id: Option<String>,
    created_at: DateTime<Utc>,
}

impl From<VoiceEvent> for VoiceEventView {
    fn from(found: VoiceEvent) -> Self {
        Self {
            id: found.id,
            user_id: found.user_id,
            provider_name: found.provider_name,
            language: found.language,
            status: found.status,
            duration_ms: found.duration_ms,
            request_id: found.request_id,
            created_at: found.created_at,
        }
    }
}

/// What was spoken to clients, newest first.
#[utoipa::path(
    tag = "provider events",
    params(
        ("request_id" = Option<String>, Query),
        ("user_id" = Option<String>, Query),
        ("from" = Option<DateTime<Utc>>, Query),
        ("until" = Option<DateTime<Utc>>, Query, description = "Not included"),
        ("limit" = Option<i64>, Query),
        ("cursor" = Option<String>, Query)
    ),
    responses((status = 200, body = Page<VoiceEventView>)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/voice-events")]
pub(crate) async fn list(
    state: Data<State>,
    Query(query): Query<ListQuery>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let after: Option<Newest> = cursors.open(LIST_NAME, &caller, &query.paging)?;
    let sql = voice_events::list_sql(query.request_id.is_some(), query.user_id.is_some());
    let rows = rows(&state, &sql, &query, after.unwrap_or_default()).await?;
    let found = rows
        .iter()
        .map(voice_events::from_row)
        .collect::<Result<Vec<_>, _>>()?;
    let items = found.into_iter().map(VoiceEventView::from).collect();
    let page = Page::cut(items, query.paging.limit, |last: &VoiceEventView| {
        cursors.seal(
            LIST_NAME,
            &caller,
            &query.paging,
            &Newest(last.created_at, last.id),
        )
    });
    let people: Vec<String> = page
        .items
        .iter()
        .filter_map(|item| item.user_id.clone())
        .collect();
    Ok(caller.disclose(people, &page).await?)
}
