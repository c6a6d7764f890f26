//! What models say about a reply, as bodies carry it.

use common::Probability;
use serde_json::Value;
use utoipa::ToSchema;
use web::{Fields, Read, read};

use crate::domain::ai::{AiMetadata, Generation};

const MAX_WORD_BYTES: usize = 100;
const MAX_REASON_BYTES: usize = 500;
const MAX_SNAPSHOT_BYTES: usize = 64 * 1024;

/// What the companion's models say about a reply. `confidence` is of versions 1.x alone, `tone` and `behavior` of 2.0 and
/// 2.1, `signal_strength`, `context_clarity` and `needs_knowledge` of 2.1: a mix is refused.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; AiMetadata is what it is read into")]
pub(crate) struct AiBody {
    /// 1.x, 2.0 or 2.1; by default the latest whose fields are there.
    #[schema(example = "2.1")]
    ai_core_version: Option<String>,
    persona: Option<String>,
    #[schema(example = "casual")]
    tone: Option<String>,
    #[schema(example = "normal")]
    behavior: Option<String>,
    context_type: Option<String>,
    /// 0 to 1.
    confidence: Option<f64>,
    /// 0 to 1.
    signal_strength: Option<f64>,
    /// 0 or 1.
    context_clarity: Option<i16>,
    /// 0 or 1.
    needs_knowledge: Option<i16>,
    model_name: Option<String>,
    prompt_tokens: Option<i32>,
    completion_tokens: Option<i32>,
    runtime: Option<String>,
    provider: Option<String>,
    provider_fallback_reason: Option<String>,
    /// What the model was given beside the message; up to 64 KiB as JSON.
    #[schema(value_type = Option<Object>)]
    context_snapshot: Option<Value>,
}

impl Read for AiMetadata {
    const MAX_BODY_BYTES: usize = 128 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let version = |value: &web::Value| {
            let text = read::text(1..=20)(value)?;
            let known = Generation::of(&text).is_some();
            known
                .then_some(text)
                .ok_or_else(|| web::Fault::new("must be 1.x, 2.0 or 2.1"))
        };
        let share = |value: &web::Value| {
            let share = Probability::new(read::number(value)?);
            let share = share.ok_or_else(|| web::Fault::new("must be a number from 0 to 1"));
            share.map(Probability::as_f64)
        };
        let word = || read::text(1..=MAX_WORD_BYTES);
        let ai_core_version = fields.optional("ai_core_version", version);
        let persona = fields.optional("persona", word());
        let tone = fields.optional("tone", word());
        let behavior = fields.optional("behavior", word());
        let context_type = fields.optional("context_type", word());
        let confidence = fields.optional("confidence", share);
        let signal_strength = fields.optional("signal_strength", share);
        let context_clarity = fields.optional("context_clarity", read::integer(0..=1));
        let needs_knowledge = fields.optional("needs_knowledge", read::integer(0..=1));
        let model_name = fields.optional("model_name", word());
        let prompt_tokens = fields.optional("prompt_tokens", read::integer(0..=i32::MAX));
        let completion_tokens = fields.optional("completion_tokens", read::integer(0..=i32::MAX));
        let runtime = fields.optional("runtime", word());
        let provider = fields.optional("provider", word());
        let reason = fields.optional("provider_fallback_reason", read::text(1..=MAX_REASON_BYTES));
        let context_snapshot = fields.optional("context_snapshot", read::object(MAX_SNAPSHOT_BYTES));
        let ai = Self {
            ai_core_version: ai_core_version?,
            persona: persona?,
            tone: tone?,
            behavior: behavior?,
            context_type: context_type?,
            confidence: confidence?,
            signal_strength: signal_strength?,
            context_clarity: context_clarity?,
            needs_knowledge: needs_knowledge?,
            model_name: model_name?,
            prompt_tokens: prompt_tokens?,
            completion_tokens: completion_tokens?,
            runtime: runtime?,
            provider: provider?,
            provider_fallback_reason: reason?,
            context_snapshot: context_snapshot?,
        };
        match ai.settle() {
            Ok(ai) => Some(ai),
            Err(foreign) => {
                for field in foreign {
                    fields.fault(field, "is of another version than the rest");
                }
                None
            }
        }
    }
}
