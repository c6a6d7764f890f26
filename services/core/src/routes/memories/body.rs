//! What is sent to remember and to correct.

use chrono::{DateTime, Utc};
use serde_json::Value as Json;
use utoipa::ToSchema;
use web::{Fault, Fields, Read, Value, read};

use crate::domain::direction::Direction;
use crate::domain::memory::{Content, Correction, ENTRY_TYPES, MEMORY_TYPES, NewEmbedding, NewMemory};

const MAX_CONTENT_BYTES: usize = 65_536;
const MAX_REASON_BYTES: usize = 500;
const MAX_PROVIDER_BYTES: usize = 100;
const MAX_SESSION_BYTES: usize = 255;
const MAX_METADATA_BYTES: usize = 16 * 1024;
const MAX_HASH_BYTES: usize = 128;
const MAX_MODEL_BYTES: usize = 100;
/// Embeddings that come with a memory.
const MAX_EMBEDDINGS: usize = 4;
/// No model has longer ones.
const MAX_DIMENSIONS: usize = 4_000;
/// Four embeddings of the longest models, written to the last digit, and the content with every character escaped.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// What is to be remembered.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; NewMemory is what it is read into")]
pub(super) struct MemoryBody {
    /// personal, project or task. Of tasks those accessed last are kept.
    #[schema(example = "personal")]
    memory_type: String,
    /// profile_fact, preference, retrieval_document, summary or nugget.
    #[schema(example = "profile_fact")]
    entry_type: String,
    /// 1 to 65,536 bytes.
    content: String,
    /// The role of the companion it belongs to; by default all.
    #[schema(example = "companion")]
    role: Option<String>,
    /// The thread it came from.
    thread_id: Option<String>,
    /// Whether it is for the client and the app only; by default false.
    is_sensitive: Option<bool>,
    /// Why it is kept.
    #[schema(max_length = 500)]
    write_reason: Option<String>,
    /// Which provider's model proposed it.
    #[schema(max_length = 100)]
    source_provider: Option<String>,
    /// The session it came from.
    #[schema(max_length = 255)]
    source_session_id: Option<String>,
    /// Up to 16 KiB as JSON.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Json>,
    /// The app's hash of it: the same hash again is the same memory.
    #[schema(max_length = 128)]
    idempotency_hash: Option<String>,
    /// From when on it holds; by default from now.
    valid_from: Option<DateTime<Utc>>,
    /// From when on it is not found any more.
    expires_at: Option<DateTime<Utc>>,
    /// At most 4, one a model; what is left out is leased to pipelines.
    embeddings: Option<Vec<EmbeddingBody>>,
}

/// What is to be corrected of a memory; what is left out stays, null empties. Reason, source and hash are those of the
/// correction, which holds from now where `valid_from` is left out.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; Correction is what it is read into")]
pub(super) struct CorrectionBody {
    memory_type: Option<String>,
    entry_type: Option<String>,
    #[schema(example = "relapsed in May")]
    content: Option<String>,
    role: Option<String>,
    thread_id: Option<String>,
    is_sensitive: Option<bool>,
    write_reason: Option<String>,
    source_provider: Option<String>,
    source_session_id: Option<String>,
    #[schema(value_type = Option<Object>)]
    metadata: Option<Json>,
    idempotency_hash: Option<String>,
    valid_from: Option<DateTime<Utc>>,
    expires_at: Option<DateTime<Utc>>,
    embeddings: Option<Vec<EmbeddingBody>>,
}

/// An embedding of the content.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "describes the body; NewEmbedding is what it is read into"
)]
struct EmbeddingBody {
    #[schema(example = "text-1536")]
    model: String,
    /// As many numbers as the model has dimensions.
    embedding: Vec<f32>,
}

impl Read for NewEmbedding {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let model = fields.required("model", model);
        let embedding = fields.required("embedding", direction);
        Some(Self {
            model: model?,
            embedding: embedding?,
        })
    }
}

impl Read for NewMemory {
    const MAX_BODY_BYTES: usize = MAX_BODY_BYTES;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let memory_type = fields.required("memory_type", word(MEMORY_TYPES));
        let entry_type = fields.required("entry_type", word(ENTRY_TYPES));
        let content = fields.required("content", read::long_text(1..=MAX_CONTENT_BYTES));
        let role = fields.optional("role", read::identifier);
        let thread_id = fields.optional("thread_id", read::identifier);
        let is_sensitive = fields.optional("is_sensitive", read::boolean);
        let metadata = fields.optional("metadata", read::object(MAX_METADATA_BYTES));
        let valid_from = fields.optional("valid_from", read::timestamp);
        let expires_at = fields.optional("expires_at", future);
        let origin = Origin::read(fields);
        let embeddings = fields.optional_nested_list("embeddings", 0..=MAX_EMBEDDINGS);
        let origin = origin?;
        Some(Self {
            content: Content {
                memory_type: memory_type?,
                entry_type: entry_type?,
                content: content?,
                role: role?,
                thread_id: thread_id?,
                is_sensitive: is_sensitive?.unwrap_or_default(),
                write_reason: origin.write_reason,
                source_provider: origin.source_provider,
                source_session_id: origin.source_session_id,
                metadata: metadata?,
                valid_from: valid_from?,
                expires_at: expires_at?,
            },
            idempotency_hash: origin.idempotency_hash,
            embeddings: embeddings?,
        })
    }
}

impl Read for Correction {
    const MAX_BODY_BYTES: usize = MAX_BODY_BYTES;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let memory_type = fields.optional("memory_type", word(MEMORY_TYPES));
        let entry_type = fields.optional("entry_type", word(ENTRY_TYPES));
        let content = fields.optional("content", read::long_text(1..=MAX_CONTENT_BYTES));
        let role = fields.change("role", read::identifier);
        let thread_id = fields.change("thread_id", read::identifier);
        let is_sensitive = fields.optional("is_sensitive", read::boolean);
        let metadata = fields.change("metadata", read::object(MAX_METADATA_BYTES));
        let valid_from = fields.optional("valid_from", read::timestamp);
        let expires_at = fields.change("expires_at", future);
        let origin = Origin::read(fields);
        let embeddings = fields.optional_nested_list("embeddings", 0..=MAX_EMBEDDINGS);
        let origin = origin?;
        let correction = Self {
            memory_type: memory_type?,
            entry_type: entry_type?,
            content: content?,
            role: role?,
            thread_id: thread_id?,
            is_sensitive: is_sensitive?,
            write_reason: origin.write_reason,
            source_provider: origin.source_provider,
            source_session_id: origin.source_session_id,
            metadata: metadata?,
            valid_from: valid_from?,
            expires_at: expires_at?,
            idempotency_hash: origin.idempotency_hash,
            embeddings: embeddings?,
        };
        if correction.is_empty() {
            fields.fault("content", "or another field must say what is corrected");
            return None;
        }
        Some(correction)
    }
}

/// Why something is written, and where it comes from.
struct Origin {
    write_reason: Option<String>,
    source_provider: Option<String>,
    source_session_id: Option<String>,
    idempotency_hash: Option<String>,
}

impl Origin {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let write_reason = fields.optional("write_reason", read::text(1..=MAX_REASON_BYTES));
        let source_provider = fields.optional("source_provider", read::text(1..=MAX_PROVIDER_BYTES));
        let source_session_id = fields.optional("source_session_id", read::text(1..=MAX_SESSION_BYTES));
        let idempotency_hash = fields.optional("idempotency_hash", read::text(1..=MAX_HASH_BYTES));
        Some(Self {
            write_reason: write_reason?,
            source_provider: source_provider?,
            source_session_id: source_session_id?,
            idempotency_hash: idempotency_hash?,
        })
    }
}

fn word(words: &'static [&'static str]) -> impl Fn(&Value) -> Result<String, Fault> {
    move |value| read::one_of(words)(value).map(str::to_owned)
}

/// What has expired already need not be remembered.
fn future(value: &Value) -> Result<DateTime<Utc>, Fault> {
    let time = read::moment(value)?;
    if time > Utc::now() {
        Ok(time)
    } else {
        Err("must be in the future".into())
    }
}

/// The name of a model. Whether there is one, only the database knows.
pub(in crate::routes) fn model(value: &Value) -> Result<String, Fault> {
    read::text(1..=MAX_MODEL_BYTES)(value)
}

/// An embedding of any length: how long it must be, its model says.
pub(in crate::routes) fn direction(value: &Value) -> Result<Direction, Fault> {
    let Value::Array(values) = value else {
        return Err(Fault::new(format!("must be an array, not {}", value.kind())));
    };
    if values.len() > MAX_DIMENSIONS {
        return Err(Fault::new(format!("must have at most {MAX_DIMENSIONS} numbers")));
    }
    let numbers = values.iter().map(read::number).collect::<Result<Vec<_>, _>>();
    let numbers = numbers.map_err(|_| Fault::new("must hold numbers only"))?;
    Ok(Direction::new(&numbers)?)
}
