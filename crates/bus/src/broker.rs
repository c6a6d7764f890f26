//! How a service reaches the broker: one connection, opened whole or not at all.

use std::time::Duration;

use lapin::uri::AMQPUri;
use lapin::{Connection, ConnectionProperties};
use secrecy::{ExposeSecret, SecretString};

use crate::Error;

/// A dead peer is noticed after twice this time.
const HEARTBEAT_SECONDS: u16 = 10;
/// From the first packet to the last declaration.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// Where the broker is, and the service that speaks to it. Cheap to clone; connects only when used.
///
/// The relay and the consumer hold a connection each. When the broker slows publishers down it stops reading
/// from their connection, and acknowledgements sharing it would wait in the same line.
///
/// The driver's own recovery stays off: after a graceful stop of the broker it can wait forever. Whoever sees
/// the first error drops the connection and opens another.
#[derive(Clone, Debug)]
pub struct Broker {
    url: SecretString,
    service: &'static str,
}

impl Broker {
    /// `url` is `amqp://user:password@host:port/vhost`, or `amqps://` for TLS with the machine's root
    /// certificates; `service` names the queues and is the `consumer` of inbox rows.
    ///
    /// # Errors
    /// [`Error::Url`].
    pub fn new(url: SecretString, service: &'static str) -> Result<Self, Error> {
        parse(&url)?;
        Ok(Self { url, service })
    }

    /// The service's name, which is also its schema.
    #[must_use]
    pub fn service(&self) -> &'static str {
        self.service
    }

    /// Opens a connection; `role` tells it from the service's other ones in the broker's lists.
    pub(crate) async fn connect(&self, role: &str) -> Result<Connection, Error> {
        let mut uri = parse(&self.url)?;
        uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
        let name = format!("recoverly-{} {role}", self.service);
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        Ok(Connection::connect_uri(uri, properties).await?)
    }
}

fn parse(url: &SecretString) -> Result<AMQPUri, Error> {
    // The parser's message may quote the password.
    url.expose_secret().parse().map_err(|_| Error::Url)
}

/// Bounds the opening of a session. A broker that accepts and then says nothing is as good as away.
pub(crate) async fn in_time<T>(opening: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::time::timeout(OPEN_TIMEOUT, opening)
        .await
        .unwrap_or(Err(Error::Timeout(OPEN_TIMEOUT)))
}
