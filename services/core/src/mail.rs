//! Mail, at the edge of our system.

mod smtp;

use futures::future::BoxFuture;

pub(crate) use smtp::Smtp;

/// Why a mail was not taken, in words that name nobody.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct MailError(pub(crate) String);

/// A mail to one person, in plain text.
#[derive(Clone)]
pub(crate) struct Mail {
    pub(crate) to: String,
    pub(crate) subject: &'static str,
    pub(crate) text: String,
}

/// Whoever takes mail off our hands.
pub(crate) trait Mailer: Send + Sync {
    /// Hands a mail over.
    fn send(&self, mail: Mail) -> BoxFuture<'_, Result<(), MailError>>;
}
