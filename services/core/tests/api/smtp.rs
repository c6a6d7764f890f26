//! A mail server that keeps what it is given.

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// A mail as it came over the wire.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) to: String,
    /// Headers and text, with soft line breaks undone.
    pub(crate) data: String,
}

/// A mail server on a port of its own.
pub(crate) struct SmtpSink {
    port: u16,
    mails: mpsc::UnboundedReceiver<Received>,
}

impl SmtpSink {
    /// A server that takes every mail.
    pub(crate) async fn new() -> Self {
        Self::that_answers("250 taken").await
    }

    /// A server that takes none.
    pub(crate) async fn refusing() -> Self {
        Self::that_answers("451 come back later").await
    }

    async fn that_answers(to_data: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (keep, mails) = mpsc::unbounded_channel();
        #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                talk(connection, to_data, &keep).await;
            }
        });
        Self { port, mails }
    }

    pub(crate) fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }

    /// The next mail.
    pub(crate) async fn mail(&mut self) -> Received {
        let mail = tokio::time::timeout(std::time::Duration::from_secs(10), self.mails.recv());
        mail.await.expect("a mail in time").expect("a mail")
    }

    /// How many mails came that nobody has looked at.
    pub(crate) fn waiting(&self) -> usize {
        self.mails.len()
    }
}

/// One conversation, as RFC 5321 has it.
async fn talk(connection: TcpStream, to_data: &str, keep: &mpsc::UnboundedSender<Received>) {
    let mut connection = BufReader::new(connection);
    let (mut to, mut line) = (String::new(), String::new());
    connection.write_all(b"220 sink\r\n").await.unwrap();
    while read(&mut connection, &mut line).await {
        let (verb, rest) = line.split_once([' ', ':']).unwrap_or((&line, ""));
        let answer = match verb.to_ascii_uppercase().as_str() {
            "EHLO" | "HELO" | "MAIL" | "RSET" | "NOOP" => "250 well",
            "RCPT" => {
                to = rest
                    .chars()
                    .skip_while(|c| *c != '<')
                    .take_while(|c| *c != '>')
                    .skip(1)
                    .collect();
                "250 well"
            }
            "DATA" => {
                connection.write_all(b"354 go on\r\n").await.unwrap();
                let mut data = String::new();
                while read(&mut connection, &mut line).await && line != "." {
                    data.push_str(&line);
                    data.push('\n');
                }
                let data = data.replace("=\n", "").replace("=3D", "=");
                keep.send(Received { to: to.clone(), data }).ok();
                to_data
            }
            "QUIT" => {
                connection.write_all(b"221 bye\r\n").await.unwrap();
                return;
            }
            _ => "500 what",
        };
        connection
            .write_all(format!("{answer}\r\n").as_bytes())
            .await
            .unwrap();
    }
}

async fn read(connection: &mut BufReader<TcpStream>, line: &mut String) -> bool {
    line.clear();
    let read = connection.read_line(line).await.unwrap_or(0);
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    read > 0
}
