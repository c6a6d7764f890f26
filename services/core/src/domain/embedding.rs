//! The models whose embeddings are taken.

use sha2::{Digest, Sha256};

/// So much of a model's name stands in that of its index, beside what is the same for all and a hash: 63 bytes together.
const MAX_INDEX_WORDS_CHARS: usize = 32;

/// What an embedding of a text is for, as `core.embedding_models` calls it.
pub(crate) const TEXT: &str = "text";

/// A model whose embeddings are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Model {
    pub(crate) name: String,
    /// Length of its embeddings.
    pub(crate) dimensions: usize,
    /// text or face.
    pub(crate) purpose: String,
    /// Whether its embeddings are still taken and leased.
    pub(crate) active: bool,
}

/// Whether a model may be called so: its name stands in the statements that search its index.
pub(crate) fn is_model_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=100).contains(&name.len()) && name.bytes().all(allowed)
}

/// The name of the index that a model's embeddings are searched by: no other model's, whatever the names have in common,
/// and no longer than Postgres keeps whole.
pub(crate) fn index_name(model: &str) -> String {
    let words: String = model.chars().take(MAX_INDEX_WORDS_CHARS).collect();
    let hash = hex::encode(
        Sha256::digest(model.as_bytes())
            .first_chunk::<4>()
            .unwrap_or(&[0; 4]),
    );
    format!("idx_memory_embeddings_{}_{hash}", words.replace(['.', '-'], "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_s_name_cannot_end_a_statement() {
        for (name, is_one) in [
            ("text-1536", true),
            ("a.b_c", true),
            ("", false),
            ("a'b", false),
            ("ä", false),
        ] {
            assert_eq!(is_model_name(name), is_one, "{name}");
        }
    }

    #[test]
    fn no_two_models_have_one_index() {
        let long = "m".repeat(99);
        let models = [
            "a.b",
            "a-b",
            "a_b",
            "user",
            &format!("{long}1"),
            &format!("{long}2"),
        ];
        let mut names: Vec<String> = models.iter().map(|model| index_name(model)).collect();
        assert_eq!(
            names
                .first()
                .map(|name| name.starts_with("idx_memory_embeddings_a_b_")),
            Some(true)
        );
        assert!(names.iter().all(|name| name.len() <= 63), "{names:?}");
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), models.len(), "{names:?}");
    }
}
