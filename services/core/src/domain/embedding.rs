//! Embeddings: what a model makes of a text, compared by their direction.

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

/// A direction: numbers of length 1 together. So they fit the half-precision numbers of the index, however large or
/// small they came.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Embedding(Vec<f32>);

impl Embedding {
    /// `None` where some number is not finite or all are 0: the angle to it would be no number, and it would stand
    /// somewhere in every search.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "embeddings are kept in single precision"
    )]
    pub(crate) fn new(mut numbers: Vec<f32>) -> Option<Self> {
        let square: f64 = numbers.iter().map(|number| f64::from(*number).powi(2)).sum();
        let length = square.sqrt();
        for number in &mut numbers {
            *number = (f64::from(*number) / length) as f32;
        }
        length.is_normal().then_some(Self(numbers))
    }

    pub(crate) fn as_slice(&self) -> &[f32] {
        &self.0
    }

    /// Whether the model may have made it; otherwise what is wrong.
    pub(crate) fn must_fit(&self, model: &Model) -> Result<(), String> {
        if self.0.len() == model.dimensions {
            return Ok(());
        }
        Err(format!(
            "must have the {} numbers of {}, not {}",
            model.dimensions,
            model.name,
            self.0.len()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_embedding_is_a_direction_of_length_1() {
        for scale in [1.0, 1e-37, 1e37] {
            let made = Embedding::new(vec![3.0 * scale, -4.0 * scale]);
            assert_eq!(made, Some(Embedding(vec![0.6, -0.8])), "{scale}");
        }
        for bad in [
            vec![],
            vec![0.0, -0.0],
            vec![1.0, f32::NAN],
            vec![f32::INFINITY, 1.0],
            vec![f32::NEG_INFINITY],
        ] {
            assert_eq!(Embedding::new(bad.clone()), None, "{bad:?}");
        }
    }

    #[test]
    fn it_is_as_long_as_its_model_says() {
        let model = Model {
            name: "m".to_owned(),
            dimensions: 2,
            purpose: TEXT.to_owned(),
            active: true,
        };
        let of_length = |length| Embedding::new(vec![1.0; length]).map(|made| made.must_fit(&model));
        assert_eq!(of_length(2), Some(Ok(())));
        for length in [1, 3] {
            let said = format!("must have the 2 numbers of m, not {length}");
            assert_eq!(of_length(length), Some(Err(said)));
        }
    }

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
