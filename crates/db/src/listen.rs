//! Notifications on a connection of their own.

use deadpool_postgres::tokio_postgres::{AsyncMessage, Client, Config};
use futures::StreamExt;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::{Error, tls};

/// Notifications that may wait; a listener that falls further behind is cut and told so by the end of its stream.
const MAX_WAITING_NOTIFICATIONS: usize = 1_024;

/// A `LISTEN` on one channel. Ends for good when its connection is lost; make a new one then.
pub struct Listener {
    received: mpsc::Receiver<String>,
    connection: JoinHandle<()>,
    client: Client,
}

impl Listener {
    pub(crate) async fn connect(config: &Config, channel: &str) -> Result<Self, Error> {
        let (client, mut connection) = config
            .connect(tls::connector()?)
            .await
            .map_err(Error::connecting)?;
        let (sender, received) = mpsc::channel(MAX_WAITING_NOTIFICATIONS);
        let pump = async move {
            let mut messages = futures::stream::poll_fn(move |cx| connection.poll_message(cx));
            while let Some(Ok(message)) = messages.next().await {
                let AsyncMessage::Notification(notification) = message else {
                    continue;
                };
                if sender.try_send(notification.payload().to_owned()).is_err() {
                    break;
                }
            }
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "a connection lives as long as its listener, which ends it"
        )]
        let connection = tokio::spawn(pump);
        let listener = Self {
            received,
            connection,
            client,
        };
        listener
            .client
            .batch_execute(&format!("listen {}", quoted(channel)))
            .await?;
        Ok(listener)
    }

    /// The next notification's payload, or `None` when the connection is lost.
    pub async fn recv(&mut self) -> Option<String> {
        self.received.recv().await
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// An identifier as SQL quotes it.
fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}
