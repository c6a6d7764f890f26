//! Sharing with family: what consents are about, and what is shared on them.

use serde_json::Value;

/// How much a client shares.
pub(crate) const SCOPES: &[&str] = &["summary_card", "periodic_updates"];
/// What becomes of a card.
pub(crate) const STATUSES: &[&str] = &[PENDING, SHARED, FAILED];
/// The card waits to be shared.
pub(crate) const PENDING: &str = "pending";
/// It may go out, and is in the ledger.
pub(crate) const SHARED: &str = "shared";
/// Its consent ended before.
pub(crate) const FAILED: &str = "failed";

/// A consent of a client that is kept from being revoked until the transaction ends.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    /// Who may receive what.
    pub(crate) recipient: String,
    /// How much, in the words of the consent; `None` for all.
    pub(crate) scope: Option<String>,
}

impl Held {
    /// Whether the client consented to that much.
    pub(crate) fn covers(&self, consent_scope: &str) -> bool {
        self.scope.as_deref().is_none_or(|scope| scope == consent_scope)
    }
}

/// What a consent to share is about.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NewShare {
    pub(crate) consent_id: i64,
    /// What the client calls the contact.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_consent_covers_what_it_names_and_one_that_names_nothing_covers_all() {
        let held = |scope: Option<&str>| Held {
            recipient: "contact-1".to_owned(),
            scope: scope.map(str::to_owned),
        };
        for scope in SCOPES {
            assert!(held(None).covers(scope));
            assert!(held(Some(scope)).covers(scope));
        }
        assert!(!held(Some("summary_card")).covers("periodic_updates"));
        assert!(!held(Some("attendance")).covers("summary_card"));
    }
}
