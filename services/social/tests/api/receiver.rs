//! Webhooks as somebody receives them, looked at with the official library of Standard Webhooks.

use std::process::Command;

use serde_json::{Value, json};
use testkit::workspace_root;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// A request as it came over the wire.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    /// By their names in small letters.
    pub(crate) headers: Value,
    pub(crate) body: String,
}

impl Received {
    pub(crate) fn id(&self) -> &str {
        self.headers["webhook-id"].as_str().expect("an id")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

/// An HTTP server on a port of its own that gives every request the same answer.
pub(crate) struct Receiver {
    pub(crate) port: u16,
    requests: mpsc::UnboundedReceiver<Received>,
    connections: mpsc::UnboundedReceiver<()>,
}

impl Receiver {
    /// It takes everything.
    pub(crate) async fn new() -> Self {
        Self::that_answers("204 No Content").await
    }

    /// The status line, and headers behind it; nothing is answered where it is empty.
    pub(crate) async fn that_answers(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
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

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    /// The next request.
    pub(crate) async fn request(&mut self) -> Received {
        let request = tokio::time::timeout(std::time::Duration::from_secs(10), self.requests.recv());
        request.await.expect("a webhook in time").expect("a webhook")
    }

    /// Requests that nobody has looked at.
    pub(crate) fn waiting(&self) -> usize {
        self.requests.len()
    }

    /// How often somebody has connected.
    pub(crate) fn connections(&self) -> usize {
        self.connections.len()
    }
}

async fn request(connection: TcpStream) -> Option<(BufReader<TcpStream>, Received)> {
    let mut connection = BufReader::new(connection);
    let (mut headers, mut line) = (serde_json::Map::new(), String::new());
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
    let received = Received {
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

/// Whether the official library finds each of these signed by the secret.
pub(crate) async fn verified(secret: &str, received: &[&Received]) -> Vec<bool> {
    let list: Vec<Value> = received
        .iter()
        .map(|one| json!({"headers": one.headers, "body": one.body}))
        .collect();
    let root = workspace_root();
    let mut program = Command::new(root.join(".dev/venv/bin/python"));
    program
        .arg(root.join("services/social/tests/python/webhook_receiver.py"))
        .env("WEBHOOK_SECRET", secret)
        .env("RECEIVED", Value::from(list).to_string());
    let ran = tokio::task::spawn_blocking(move || program.output())
        .await
        .unwrap();
    let ran = ran.expect("the Python environment: run examples/setup.sh first");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    serde_json::from_slice(&ran.stdout).unwrap()
}
