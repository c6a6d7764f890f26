//! Sharing with family.

use serde_json::Value;

/// How much a client shares.
pub(crate) const SCOPES: &[&str] = &["summary_card", "periodic_updates"];
/// What becomes of a card.
pub(crate) const STATUSES: &[&str] = &[PENDING, "shared", "failed"];
/// The status of a card that was not handed out yet.
pub(crate) const PENDING: &str = "pending";

/// What a consent to share is about.
#[derive(Clone, Debug)]
pub(crate) struct NewShare {
    pub(crate) consent_id: i64,
    pub(crate) contact_label: String,
    /// One of [`SCOPES`].
    pub(crate) consent_scope: &'static str,
}

/// Something to be shared.
#[derive(Clone, Debug)]
pub(crate) struct NewCard {
    pub(crate) consent_id: i64,
    pub(crate) role: Option<String>,
    pub(crate) thread_id: Option<String>,
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) metadata: Option<Value>,
}
