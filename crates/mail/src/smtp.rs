//! Mail by SMTP.

use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::Error as SmtpError;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{Mail, MailError, Mailer};

/// How long the server may take for one command, in seconds.
const SMTP_TIMEOUT_SECONDS: u64 = 10;

/// The URL of a mail server, to which nothing is said in clear but on this machine.
#[derive(Clone, Debug)]
pub struct SmtpUrl(SecretString);

impl FromStr for SmtpUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(text).map_err(|_| "no URL")?;
        let host = url.host_str().ok_or("names no host")?;
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
        let is_here = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
        let asks_for_tls = url
            .query_pairs()
            .any(|(name, value)| name == "tls" && value == "required");
        match url.scheme() {
            "smtps" => Ok(Self(text.into())),
            "smtp" if asks_for_tls || is_here => Ok(Self(text.into())),
            "smtp" => Err("mail needs TLS"),
            _ => Err("not an SMTP URL"),
        }
    }
}

/// A mail server and the address we write from. Each mail is a connection of its own: they are few.
pub struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl Smtp {
    /// The server at a URL.
    ///
    /// # Errors
    /// When the URL is none of a mail server.
    pub fn new(url: &SmtpUrl, from: Mailbox) -> Result<Self, MailError> {
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.0.expose_secret())
            .map_err(|error| failed(&error))?
            .timeout(Some(Duration::from_secs(SMTP_TIMEOUT_SECONDS)))
            .build();
        Ok(Self { transport, from })
    }

    async fn hand_over(&self, mail: Mail) -> Result<(), MailError> {
        let to: Mailbox = mail
            .to
            .parse()
            .map_err(|_| MailError::for_good("an address that mail cannot be sent to"))?;
        let message = Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(mail.subject)
            .header(ContentType::TEXT_PLAIN)
            .body(mail.text)
            .map_err(|_| MailError::for_good("a mail that cannot be written"))?;
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
    MailError {
        words: format!("{kind}{}", code.unwrap_or_default()),
        is_for_good: error.is_permanent(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_said_in_clear_but_on_this_machine() {
        for (url, is_taken) in [
            ("smtps://mail.example", true),
            ("smtp://mail.example:587?tls=required", true),
            ("smtp://127.0.0.1:2525", true),
            ("smtp://mail.example", false),
            ("smtp://mail.example?tls=opportunistic", false),
            ("http://mail.example", false),
        ] {
            assert_eq!(url.parse::<SmtpUrl>().is_ok(), is_taken, "{url}");
        }
    }
}
