//! What the companion remembers of a client, and how it is corrected.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::direction::Direction;

/// Kinds of memory. Tasks are pruned.
pub(crate) const MEMORY_TYPES: &[&str] = &["personal", "project", "task"];
/// What a memory is.
pub(crate) const ENTRY_TYPES: &[&str] = &[
    "profile_fact",
    "preference",
    "retrieval_document",
    "summary",
    "nugget",
];

/// What a memory says, and where it comes from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Content {
    pub(crate) memory_type: String,
    pub(crate) entry_type: String,
    pub(crate) content: String,
    /// The role of the companion it belongs to; of all where there is none.
    pub(crate) role: Option<String>,
    pub(crate) thread_id: Option<String>,
    /// For the client and the app only.
    pub(crate) is_sensitive: bool,
    pub(crate) write_reason: Option<String>,
    pub(crate) source_provider: Option<String>,
    pub(crate) source_session_id: Option<String>,
    pub(crate) metadata: Option<Value>,
    /// From when on it holds; from now where nothing is said.
    pub(crate) valid_from: Option<DateTime<Utc>>,
    pub(crate) expires_at: Option<DateTime<Utc>>,
}

impl Content {
    /// Whether it says the same. Reasons, sources and times of a repeat may differ.
    pub(crate) fn repeats(&self, stored: &Self) -> bool {
        self.memory_type == stored.memory_type
            && self.entry_type == stored.entry_type
            && self.content == stored.content
            && self.role == stored.role
            && self.thread_id == stored.thread_id
            && self.is_sensitive == stored.is_sensitive
    }
}

/// An embedding of a memory.
#[derive(Clone, Debug)]
pub(crate) struct NewEmbedding {
    pub(crate) model: String,
    pub(crate) embedding: Direction,
}

/// A memory as it comes in.
#[derive(Clone, Debug)]
pub(crate) struct NewMemory {
    pub(crate) content: Content,
    /// The same hash again is the same memory.
    pub(crate) idempotency_hash: Option<String>,
    pub(crate) embeddings: Vec<NewEmbedding>,
}

/// What is to be corrected of a memory. The outer `None` leaves a field as it is, the inner one empties it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Correction {
    pub(crate) memory_type: Option<String>,
    pub(crate) entry_type: Option<String>,
    pub(crate) content: Option<String>,
    pub(crate) role: Option<Option<String>>,
    pub(crate) thread_id: Option<Option<String>>,
    pub(crate) is_sensitive: Option<bool>,
    pub(crate) write_reason: Option<String>,
    pub(crate) source_provider: Option<String>,
    pub(crate) source_session_id: Option<String>,
    pub(crate) metadata: Option<Option<Value>>,
    pub(crate) valid_from: Option<DateTime<Utc>>,
    pub(crate) expires_at: Option<Option<DateTime<Utc>>>,
    pub(crate) idempotency_hash: Option<String>,
    pub(crate) embeddings: Vec<NewEmbedding>,
}

impl Correction {
    /// Whether it changes anything that a memory says.
    pub(crate) fn is_empty(&self) -> bool {
        self.memory_type.is_none()
            && self.entry_type.is_none()
            && self.content.is_none()
            && self.role.is_none()
            && self.thread_id.is_none()
            && self.is_sensitive.is_none()
            && self.metadata.is_none()
            && self.valid_from.is_none()
            && self.expires_at.is_none()
    }

    /// The memory that takes the place of this one. Why it is written and by whom is the correction's own.
    pub(crate) fn of(self, corrected: Content) -> NewMemory {
        let content = Content {
            memory_type: self.memory_type.unwrap_or(corrected.memory_type),
            entry_type: self.entry_type.unwrap_or(corrected.entry_type),
            content: self.content.unwrap_or(corrected.content),
            role: self.role.unwrap_or(corrected.role),
            thread_id: self.thread_id.unwrap_or(corrected.thread_id),
            is_sensitive: self.is_sensitive.unwrap_or(corrected.is_sensitive),
            write_reason: self.write_reason,
            source_provider: self.source_provider,
            source_session_id: self.source_session_id,
            metadata: self.metadata.unwrap_or(corrected.metadata),
            valid_from: self.valid_from,
            expires_at: self.expires_at.unwrap_or(corrected.expires_at),
        };
        NewMemory {
            content,
            idempotency_hash: self.idempotency_hash,
            embeddings: self.embeddings,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sober() -> Content {
        Content {
            memory_type: "personal".to_owned(),
            entry_type: "profile_fact".to_owned(),
            content: "90 days sober".to_owned(),
            role: Some("companion".to_owned()),
            thread_id: None,
            is_sensitive: true,
            write_reason: Some("they said so".to_owned()),
            source_provider: Some("one".to_owned()),
            source_session_id: None,
            metadata: None,
            valid_from: Some(DateTime::UNIX_EPOCH),
            expires_at: Some(DateTime::UNIX_EPOCH),
        }
    }

    #[test]
    fn a_correction_keeps_what_it_does_not_name_but_reason_source_and_since_when() {
        let correction = Correction {
            content: Some("relapsed in May".to_owned()),
            expires_at: Some(None),
            ..Correction::default()
        };
        let expected = Content {
            content: "relapsed in May".to_owned(),
            write_reason: None,
            source_provider: None,
            valid_from: None,
            expires_at: None,
            ..sober()
        };
        assert_eq!(correction.of(sober()).content, expected);
    }

    #[test]
    fn a_repeat_says_the_same_whatever_its_reason() {
        let again = Content {
            write_reason: None,
            valid_from: None,
            ..sober()
        };
        assert!(again.repeats(&sober()));
        let hidden = Content {
            is_sensitive: false,
            ..sober()
        };
        assert!(!hidden.repeats(&sober()));
    }
}
