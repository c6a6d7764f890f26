//! The models whose embeddings are taken.

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
}
