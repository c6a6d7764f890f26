//! What is known of a client at a time.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

/// Values by the names of their features.
pub(crate) type Features = Map<String, Value>;

/// A snapshot as it came in: its features not checked against their set.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NewSnapshot {
    /// By default the set that the model reads.
    pub(crate) feature_set_version: Option<String>,
    /// By default when the prediction was made.
    pub(crate) captured_at: Option<DateTime<Utc>>,
    pub(crate) source: String,
    pub(crate) features: Features,
}

/// What makes a snapshot the one it is: the same capture again is the same row.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SnapshotKey {
    pub(crate) user_id: String,
    pub(crate) feature_set_version: String,
    pub(crate) captured_at: DateTime<Utc>,
    pub(crate) source: String,
}

/// A snapshot whose features were checked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Snapshot {
    pub(crate) key: SnapshotKey,
    pub(crate) features: Features,
}
