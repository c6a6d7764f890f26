//! Faces: what a model makes of one, and how it is looked for.

/// The length of a face's embedding.
pub(crate) const DIMENSIONS: usize = 512;

/// Why staff look for a face.
pub(crate) const PURPOSES: &[&str] = &["arrival", "session", "emergency"];

/// A face as a direction: its numbers have length 1 together, however large or small they came.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Face(Vec<f32>);

impl Face {
    /// What is wrong with the numbers, where they are no face: without a length the angle to them would be no number,
    /// and they would stand somewhere in every search.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "embeddings are kept in single precision"
    )]
    pub(crate) fn new(numbers: &[f64]) -> Result<Self, String> {
        if numbers.len() != DIMENSIONS {
            return Err(format!("must have {DIMENSIONS} numbers, not {}", numbers.len()));
        }
        let length = numbers.iter().map(|number| number * number).sum::<f64>().sqrt();
        if !length.is_normal() {
            return Err("must be finite numbers that are not all 0".to_owned());
        }
        Ok(Self(
            numbers.iter().map(|number| (number / length) as f32).collect(),
        ))
    }

    pub(crate) fn as_slice(&self) -> &[f32] {
        &self.0
    }
}

/// A face that is to be kept.
#[derive(Clone, Debug)]
pub(crate) struct NewFace {
    pub(crate) face: Face,
    pub(crate) model_name: String,
    /// The same hash again is the same face.
    pub(crate) idempotency_hash: String,
    pub(crate) source_session_id: Option<String>,
}

/// A face that somebody looks for.
#[derive(Clone, Debug)]
pub(crate) struct FaceSearch {
    pub(crate) face: Face,
    /// At most so many of the nearest.
    pub(crate) limit: i64,
    /// One of [`PURPOSES`].
    pub(crate) purpose: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A face whose first numbers are these.
    fn face(first: &[f64]) -> Result<Face, String> {
        let mut numbers = vec![0.0; DIMENSIONS];
        numbers.splice(..first.len(), first.iter().copied());
        Face::new(&numbers)
    }

    #[test]
    fn a_face_is_a_direction_however_long_its_numbers_are() {
        let one = face(&[3.0, -4.0]).map(|face| face.as_slice().first_chunk::<2>().copied());
        assert_eq!(one, Ok(Some([0.6, -0.8])));
        for scale in [1e-40, 1e40] {
            assert_eq!(face(&[3.0 * scale, -4.0 * scale]), face(&[3.0, -4.0]), "{scale}");
        }
    }

    #[test]
    fn numbers_without_a_length_are_no_face() {
        for bad in [0.0, -0.0, f64::NAN, f64::INFINITY, 1e-200, 1e200] {
            assert!(face(&[bad]).is_err(), "{bad}");
        }
        for length in [0, DIMENSIONS - 1, DIMENSIONS + 1] {
            assert!(Face::new(&vec![1.0; length]).is_err(), "{length}");
        }
    }
}
