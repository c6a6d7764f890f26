//! What is durably known of a client.

use serde_json::Value;

/// What is written under a key.
#[derive(Clone, Debug)]
pub(crate) struct NewEntry {
    pub(crate) profile_value: String,
    /// For the client and the app only.
    pub(crate) is_sensitive: bool,
    pub(crate) source: Option<String>,
    pub(crate) metadata: Option<Value>,
}
