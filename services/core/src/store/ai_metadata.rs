//! `core.message_ai_metadata`: what models said about their replies, and what reviewers say of them.

use chrono::{DateTime, Utc};
use db::{Json, Row, Tx};
use serde::{Deserialize, Serialize};

use crate::domain::ai::AiMetadata;

/// What was said of a reply, about to be stored.
#[derive(Debug, Serialize)]
pub(crate) struct Said {
    pub(crate) message_id: i64,
    pub(crate) user_id: String,
    #[serde(flatten)]
    pub(crate) ai: AiMetadata,
}

/// Stores what was said of replies, with the commit.
pub(crate) fn insert(tx: &Tx, said: Vec<Said>) {
    if said.is_empty() {
        return;
    }
    tx.at_commit(
        "insert into core.message_ai_metadata (message_id, user_id, ai_core_version, persona, tone, behavior,
             context_type, confidence, signal_strength, context_clarity, needs_knowledge, model_name, prompt_tokens,
             completion_tokens, runtime, provider, provider_fallback_reason, context_snapshot)
         select n.message_id, n.user_id, n.ai_core_version, n.persona, n.tone, n.behavior,
             n.context_type, n.confidence, n.signal_strength, n.context_clarity, n.needs_knowledge, n.model_name,
             n.prompt_tokens, n.completion_tokens, n.runtime, n.provider, n.provider_fallback_reason, n.context_snapshot
         from jsonb_to_recordset($1) as n (message_id bigint, user_id varchar, ai_core_version varchar,
             persona varchar, tone varchar, behavior varchar, context_type varchar, confidence float8,
             signal_strength float8, context_clarity int2, needs_knowledge int2, model_name varchar, prompt_tokens int4,
             completion_tokens int4, runtime varchar, provider varchar, provider_fallback_reason varchar,
             context_snapshot jsonb)",
        vec![Box::new(Json(said))],
    );
}

/// What models and reviewers said of a reply.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Known {
    #[serde(flatten)]
    pub(crate) ai: AiMetadata,
    is_mistake: i16,
    pub(crate) mistake_note: Option<String>,
    pub(crate) reviewed_by: Option<String>,
    pub(crate) reviewed_at: Option<DateTime<Utc>>,
}

impl Known {
    /// Whether the last reviewer holds it for a mistake.
    pub(crate) fn is_mistake(&self) -> bool {
        self.is_mistake == 1
    }
}

/// What is known of the message of a row, whose column `ai` holds the whole row of this table, or null.
pub(crate) fn known(row: &Row) -> Result<Option<Known>, db::Error> {
    let found: Option<Json<Known>> = row.try_get("ai")?;
    Ok(found.map(|found| found.0))
}

/// A reply that a reviewer holds for a mistake.
#[derive(Clone, Debug)]
pub(crate) struct Mistake {
    pub(crate) message_id: i64,
    pub(crate) user_id: String,
    pub(crate) message_text: String,
    pub(crate) timestamp: DateTime<Utc>,
    pub(crate) model_name: Option<String>,
    pub(crate) ai_core_version: Option<String>,
    pub(crate) mistake_note: Option<String>,
    pub(crate) reviewed_by: Option<String>,
    pub(crate) reviewed_at: Option<DateTime<Utc>>,
}

/// Mistakes of the clients whom the caller cares for, newest first. `$1` model, `$2` version, each or null; `$3` the message
/// to go on behind, `$4` limit. Which clients are visible is the row policy's to decide; it is said here as well so that the
/// index on them is used.
pub(crate) const MISTAKES: &str = "
    select a.message_id, a.user_id, m.message_text, m.timestamp, a.model_name, a.ai_core_version, a.mistake_note,
        a.reviewed_by, a.reviewed_at
    from core.message_ai_metadata a join core.messages m on m.message_id = a.message_id
    where a.user_id = any ((select core.visible_clients())::varchar[]) and a.is_mistake = 1 and ($1::varchar is null or a.model_name = $1)
      and ($2::varchar is null or a.ai_core_version = $2)
      and a.message_id < $3
      and a.user_id <> all (array(select core.crisis_clients()))
    order by a.message_id desc
    limit $4";

pub(crate) fn mistake_from_row(row: &Row) -> Result<Mistake, db::Error> {
    Ok(Mistake {
        message_id: row.try_get("message_id")?,
        user_id: row.try_get("user_id")?,
        message_text: row.try_get("message_text")?,
        timestamp: row.try_get("timestamp")?,
        model_name: row.try_get("model_name")?,
        ai_core_version: row.try_get("ai_core_version")?,
        mistake_note: row.try_get("mistake_note")?,
        reviewed_by: row.try_get("reviewed_by")?,
        reviewed_at: row.try_get("reviewed_at")?,
    })
}

/// A reviewer's verdict.
#[derive(Clone, Debug)]
pub(crate) struct Review {
    pub(crate) is_mistake: bool,
    pub(crate) mistake_note: Option<String>,
}

/// Stores a verdict; the client of the conversation, and `None` where there is no such reply of the assistant.
pub(crate) async fn review(
    tx: &Tx,
    message_id: i64,
    review: &Review,
    reviewed_by: &str,
) -> Result<Option<String>, db::Error> {
    // A reply that came without metadata has a row from now on. The client is held first, as an erasure does, and then the
    // message, so that none that ends meanwhile is reviewed.
    let row = tx
        .query_opt(
            "insert into core.message_ai_metadata as a (message_id, user_id, is_mistake, mistake_note, reviewed_by, reviewed_at)
             select m.message_id, m.user_id, $2, $3, $4, now()
             from core.messages m
             join core.users u on u.user_id = m.user_id
             where m.message_id = $1 and m.sender_role = 'assistant'
               and m.user_id <> all (array(select core.crisis_clients()))
             for key share of u
             for key share of m
             on conflict (message_id) do update set is_mistake = excluded.is_mistake,
                 mistake_note = excluded.mistake_note, reviewed_by = excluded.reviewed_by, reviewed_at = excluded.reviewed_at
             returning a.user_id",
            &[
                &message_id,
                &i16::from(review.is_mistake),
                &review.mistake_note,
                &reviewed_by,
            ],
        )
        .await?;
    row.map(|row| Ok(row.try_get("user_id")?)).transpose()
}
