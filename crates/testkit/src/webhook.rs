//! An HTTP server that takes webhooks and keeps them.

use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// A request as it came over the wire.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// By their names in small letters.
    pub headers: Value,
    /// As it was signed.
    pub body: String,
}

impl Webhook {
    /// The id under which it was sent, also again.
    ///
    /// # Panics
    /// When it has none.
    #[must_use]
    pub fn id(&self) -> &str {
        self.headers
            .get("webhook-id")
            .and_then(Value::as_str)
            .expect("an id")
    }

    /// What it says.
    ///
    /// # Panics
    /// When it is no JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

/// An HTTP server on a port of its own that gives every request the same answer.
pub struct WebhookSink {
    /// Of 127.0.0.1.
    pub port: u16,
    requests: mpsc::UnboundedReceiver<Webhook>,
    connections: mpsc::UnboundedReceiver<()>,
}

impl WebhookSink {
    /// It takes everything.
    ///
    /// # Panics
    /// When there is no port.
    pub async fn new() -> Self {
        Self::that_answers("204 No Content").await
    }

    /// The status line, and headers behind it; nothing is answered where it is empty.
    ///
    /// # Panics
    /// When there is no port.
    pub async fn that_answers(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("a bound port").port();
        let (keep, requests) = mpsc::unbounded_channel();
        let (count, connections) = mpsc::unbounded_channel();
        #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
        tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((connection, _)) = listener.accept().await {
                count.send(()).ok();
                let Some((connection, received)) = request(connection).await else {
                    continue;
                };
                keep.send(received).ok();
                if let Some(connection) = respond(connection, answer).await {
                    held.push(connection);
                }
            }
        });
        Self {
            port,
            requests,
            connections,
        }
    }

    /// Where webhooks go to.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    /// The next request.
    ///
    /// # Panics
    /// When none comes within ten seconds.
    pub async fn request(&mut self) -> Webhook {
        let request = tokio::time::timeout(Duration::from_secs(10), self.requests.recv());
        request.await.expect("a webhook in time").expect("a webhook")
    }

    /// Requests that nobody has looked at.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.requests.len()
    }

    /// How often somebody has connected.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.len()
    }
}

async fn request(connection: TcpStream) -> Option<(BufReader<TcpStream>, Webhook)> {
    let mut connection = BufReader::new(connection);
    let (mut headers, mut line) = (Map::new(), String::new());
    connection.read_line(&mut line).await.ok()?;
    loop {
        line.clear();
        connection.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim().split_once(": ") else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), json!(value));
    }
    let length = headers.get("content-length")?.as_str()?.parse().ok()?;
    let mut body = vec![0; length];
    connection.read_exact(&mut body).await.ok()?;
    let received = Webhook {
        headers: headers.into(),
        body: String::from_utf8(body).ok()?,
    };
    Some((connection, received))
}

/// The connection, where it is to stay open without an answer.
async fn respond(mut connection: BufReader<TcpStream>, answer: &str) -> Option<BufReader<TcpStream>> {
    if answer.is_empty() {
        return Some(connection);
    }
    let answer = format!("HTTP/1.1 {answer}\r\nconnection: close\r\n\r\n");
    connection.write_all(answer.as_bytes()).await.ok();
    None
}
