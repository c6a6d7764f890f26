//! What ends a session with the broker, or a round of work.

use std::time::Duration;

/// An error of the broker, or of Postgres on the way. Displays never hold event data or passwords.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The setting is no `amqp://` or `amqps://` URL.
    #[error("the broker's URL is not an amqp:// or amqps:// URL")]
    Url,
    /// The broker refused, or the connection to it is lost.
    #[error("broker: {0}")]
    Broker(#[from] lapin::Error),
    /// The broker did not answer in time.
    #[error("the broker did not answer within {0:?}")]
    Timeout(Duration),
    /// The broker closed the subscription or its channel, for example because a queue was deleted.
    #[error("the broker ended the subscription")]
    Ended,
    /// The broker takes no messages for now: its memory or disk alarm is on.
    #[error("the broker blocks publishers: its memory or disk alarm is on")]
    Blocked,
    /// The service was asked to stop while it waited for Postgres.
    #[error("stopped while waiting for Postgres")]
    Stopped,
    /// Postgres is away or refused.
    #[error("database: {0}")]
    Database(#[from] db::Error),
}

impl Error {
    /// Whether the session is of no more use and the connection must be made anew.
    pub(crate) fn ends_session(&self) -> bool {
        match self {
            Self::Url | Self::Broker(_) | Self::Timeout(_) | Self::Ended => true,
            Self::Blocked | Self::Stopped | Self::Database(_) => false,
        }
    }
}
