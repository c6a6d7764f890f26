//! Mail by SMTP.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::Error as SmtpError;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};

use super::{Mail, MailError, Mailer};

/// How long the server may take for one command, in seconds.
const SMTP_TIMEOUT_SECONDS: u64 = 10;

/// A mail server and the address we write from. Each mail is a connection of its own: they are few.
pub(crate) struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl Smtp {
    /// The server at a URL.
    ///
    /// # Errors
    /// When the URL is none.
    pub(crate) fn new(url: &str, from: Mailbox) -> Result<Self, MailError> {
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url)
            .map_err(|error| failed(&error))?
            .timeout(Some(Duration::from_secs(SMTP_TIMEOUT_SECONDS)))
            .build();
        Ok(Self { transport, from })
    }

    async fn hand_over(&self, mail: Mail) -> Result<(), MailError> {
        let to: Mailbox = mail
            .to
            .parse()
            .map_err(|_| MailError("an address that mail cannot be sent to".to_owned()))?;
        let message = Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(mail.subject)
            .header(ContentType::TEXT_PLAIN)
            .body(mail.text)
            .map_err(|_| MailError("a mail that cannot be written".to_owned()))?;
        self.transport
            .send(message)
            .await
            .map(drop)
            .map_err(|error| failed(&error))
    }
}

impl Mailer for Smtp {
    fn send(&self, mail: Mail) -> BoxFuture<'_, Result<(), MailError>> {
        self.hand_over(mail).boxed()
    }
}

/// The kind of failure. A server's own words may quote the address that it refuses.
fn failed(error: &SmtpError) -> MailError {
    let kind = if error.is_permanent() {
        "the mail server refused for good"
    } else if error.is_transient() {
        "the mail server refused for now"
    } else if error.is_timeout() {
        "the mail server did not answer in time"
    } else if error.is_tls() {
        "TLS with the mail server failed"
    } else {
        "the mail server cannot be reached"
    };
    let code = error.status().map(|code| format!(" ({code})"));
    MailError(format!("{kind}{}", code.unwrap_or_default()))
}
