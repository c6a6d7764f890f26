//! Mail, at the edge of our system.

#![warn(missing_docs)]

mod smtp;

use futures::future::BoxFuture;

pub use lettre::message::Mailbox;
pub use smtp::{Smtp, SmtpUrl};

/// Why a mail was not taken, in words that name nobody.
#[derive(Debug, thiserror::Error)]
#[error("{words}")]
pub struct MailError {
    words: String,
    is_for_good: bool,
}

impl MailError {
    pub(crate) fn for_good(words: &str) -> Self {
        Self {
            words: words.to_owned(),
            is_for_good: true,
        }
    }

    /// Whether the same mail would be refused again.
    #[must_use]
    pub fn is_for_good(&self) -> bool {
        self.is_for_good
    }
}

/// A mail to one person, in plain text.
#[derive(Clone)]
pub struct Mail {
    /// The address.
    pub to: String,
    /// Its subject, which names nobody.
    pub subject: &'static str,
    /// What it says.
    pub text: String,
}

/// Whoever takes mail off our hands.
pub trait Mailer: Send + Sync {
    /// Hands a mail over.
    fn send(&self, mail: Mail) -> BoxFuture<'_, Result<(), MailError>>;
}
