//! Sharing with family: what consents are about, and what is shared on them.

use serde_json::Value;

use super::template::{Reader, Templates};

/// How much a client shares.
pub(crate) const SCOPES: &[&str] = &["summary_card", PERIODIC_UPDATES];
/// What becomes of a card.
pub(crate) const STATUSES: &[&str] = &[PENDING, SHARED, FAILED];
/// Somebody is told from time to time, and not of one thing alone.
pub(crate) const PERIODIC_UPDATES: &str = "periodic_updates";
/// The longest title and text of a card.
pub(crate) const MAX_TITLE_BYTES: usize = 200;
pub(crate) const MAX_TEXT_BYTES: usize = 16 * 1024;
/// The kinds of the two texts that a card of the rules is made of.
const NOTICE_TITLE: &str = "family_notice_title";
const NOTICE_BODY: &str = "family_notice";

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

/// What family is told by the rules: that somebody would be glad to hear of them, and nothing of why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) title: String,
    pub(crate) body: String,
}

/// The notice in the client's language; `None` where there is no text of it, or one too long for a card.
pub(crate) fn notice(templates: &Templates, reader: &Reader) -> Option<Notice> {
    let title = templates.text(NOTICE_TITLE, reader)?.message;
    let body = templates.text(NOTICE_BODY, reader)?.message;
    (title.len() <= MAX_TITLE_BYTES && body.len() <= MAX_TEXT_BYTES).then_some(Notice { title, body })
}

/// What became of telling family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// These cards wait to be shared.
    Cards(Vec<i64>),
    Withheld(NotTold),
}

/// Why family is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotTold {
    NoConsent,
    /// There is one, and not for more than single cards.
    NotPeriodic,
    NoTemplate,
}

impl NotTold {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::NoConsent => "no_active_consent",
            Self::NotPeriodic => "no_periodic_consent",
            Self::NoTemplate => "no_template",
        }
    }

    /// For the record.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::NoConsent => "there is no consent",
            Self::NotPeriodic => "no consent is for periodic updates",
            Self::NoTemplate => "there is no text for it",
        }
    }
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
