//! A mail server that keeps what it is given.

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// A mail as it came over the wire.
#[derive(Debug)]
pub struct Received {
    /// To whom.
    pub to: String,
    /// Headers and text, with soft line breaks undone.
    pub data: String,
}

/// A mail server on a port of its own.
pub struct SmtpSink {
    port: u16,
    mails: mpsc::UnboundedReceiver<Received>,
}

impl SmtpSink {
    /// A server that takes every mail.
    pub async fn new() -> Self {
        Self::that_answers("250 taken").await
    }

    /// A server that takes none.
    pub async fn refusing() -> Self {
        Self::that_answers("451 come back later").await
    }

    async fn that_answers(to_data: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("a bound port").port();
        let (keep, mails) = mpsc::unbounded_channel();
        #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                talk(connection, to_data, &keep).await;
            }
        });
        Self { port, mails }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }

    /// The next mail.
    pub async fn mail(&mut self) -> Received {
        let mail = tokio::time::timeout(std::time::Duration::from_secs(10), self.mails.recv());
        mail.await.expect("a mail in time").expect("a mail")
    }

    /// How many mails came that nobody has looked at.
    pub fn waiting(&self) -> usize {
        self.mails.len()
    }
}

/// One conversation, as RFC 5321 has it.
async fn talk(connection: TcpStream, to_data: &str, keep: &mpsc::UnboundedSender<Received>) {
    let mut connection = BufReader::new(connection);
    let (mut to, mut line) = (String::new(), String::new());
    say(&mut connection, "220 sink").await;
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
                say(&mut connection, "354 go on").await;
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
                say(&mut connection, "221 bye").await;
                return;
            }
            _ => "500 what",
        };
        say(&mut connection, answer).await;
    }
}

/// A client that is gone hears nothing, and reading ends the conversation.
async fn say(connection: &mut BufReader<TcpStream>, answer: &str) {
    connection
        .write_all(format!("{answer}\r\n").as_bytes())
        .await
        .ok();
}

async fn read(connection: &mut BufReader<TcpStream>, line: &mut String) -> bool {
    line.clear();
    let read = connection.read_line(line).await.unwrap_or(0);
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    read > 0
}
