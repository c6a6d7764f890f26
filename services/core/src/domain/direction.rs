//! Directions: what a model makes of a text or a face. Embeddings are compared by the angle between them alone.

/// Numbers of length 1 together, however large or small they came. So they fit the half-precision numbers of an index.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Direction(Vec<f32>);

impl Direction {
    /// What is wrong with the numbers, where they have no direction: the angle to them would be no number, and they would
    /// stand somewhere in every search.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "embeddings are kept in single precision"
    )]
    pub(crate) fn new(numbers: &[f64]) -> Result<Self, &'static str> {
        let length = numbers.iter().map(|number| number * number).sum::<f64>().sqrt();
        if !length.is_normal() {
            return Err("must hold finite numbers that are not all 0");
        }
        Ok(Self(
            numbers.iter().map(|number| (number / length) as f32).collect(),
        ))
    }

    /// Whether a model whose embeddings have so many numbers may have made it; otherwise what is wrong.
    pub(crate) fn must_have(&self, dimensions: usize) -> Result<(), String> {
        if self.0.len() == dimensions {
            return Ok(());
        }
        Err(format!("must have {dimensions} numbers, not {}", self.0.len()))
    }

    pub(crate) fn as_slice(&self) -> &[f32] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_a_direction_however_large_or_small_they_are() {
        for scale in [1.0, 1e-40, 1e40] {
            let made = Direction::new(&[3.0 * scale, -4.0 * scale]);
            assert_eq!(made, Ok(Direction(vec![0.6, -0.8])), "{scale}");
        }
    }

    #[test]
    fn numbers_without_a_length_are_none() {
        for bad in [
            &[][..],
            &[0.0, -0.0],
            &[1.0, f64::NAN],
            &[f64::INFINITY, 1.0],
            &[f64::NEG_INFINITY],
            &[1e-200],
            &[1e200],
        ] {
            assert!(Direction::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn it_is_as_long_as_its_model_says() {
        let of_length = |length| Direction::new(&vec![1.0; length]).map(|made| made.must_have(2));
        assert_eq!(of_length(2), Ok(Ok(())));
        for length in [1, 3] {
            let said = format!("must have 2 numbers, not {length}");
            assert_eq!(of_length(length), Ok(Err(said)));
        }
    }
}
