//! Faces: how one is kept and looked for.

use super::direction::Direction;

/// The length of a face's embedding.
pub(crate) const DIMENSIONS: usize = 512;

/// Why staff look for a face.
pub(crate) const PURPOSES: &[&str] = &["arrival", "session", "emergency"];

/// A face that is to be kept.
#[derive(Clone, Debug)]
pub(crate) struct NewFace {
    pub(crate) face: Direction,
    pub(crate) model_name: String,
    /// The same hash again is the same face.
    pub(crate) idempotency_hash: String,
    pub(crate) source_session_id: Option<String>,
}

/// A face that somebody looks for.
#[derive(Clone, Debug)]
pub(crate) struct FaceSearch {
    pub(crate) face: Direction,
    /// At most so many of the nearest.
    pub(crate) limit: i64,
    /// One of [`PURPOSES`].
    pub(crate) purpose: &'static str,
}
