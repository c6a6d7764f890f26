//! A TCP proxy that tests cut at will, in front of the broker or of Postgres.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;

/// More bytes than any test sends.
const UNLIMITED: i64 = i64::MAX / 2;

pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

struct State {
    bytes_left: AtomicI64,
    down: AtomicBool,
    refused: AtomicUsize,
    cut: broadcast::Sender<()>,
}

impl Proxy {
    pub(crate) async fn before(upstream: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            bytes_left: AtomicI64::new(UNLIMITED),
            down: AtomicBool::new(false),
            refused: AtomicUsize::new(0),
            cut: broadcast::channel(1).0,
        });
        tokio::spawn(accept(listener, upstream, state.clone()));
        Self { address, state }
    }

    /// Lets this many more bytes through to the server, then cuts the connection.
    pub(crate) fn cut_after(&self, bytes: i64) {
        self.state.bytes_left.store(bytes, Ordering::SeqCst);
    }

    /// Cuts everything and refuses new connections.
    pub(crate) fn down(&self) {
        self.state.down.store(true, Ordering::SeqCst);
        drop(self.state.cut.send(()));
    }

    pub(crate) fn up(&self) {
        self.state.bytes_left.store(UNLIMITED, Ordering::SeqCst);
        self.state.down.store(false, Ordering::SeqCst);
    }

    /// How many connections were refused so far.
    pub(crate) fn refused(&self) -> usize {
        self.state.refused.load(Ordering::SeqCst)
    }
}

async fn accept(listener: TcpListener, upstream: String, state: Arc<State>) {
    loop {
        let (client, _) = listener.accept().await.unwrap();
        if state.down.load(Ordering::SeqCst) {
            state.refused.fetch_add(1, Ordering::SeqCst);
            continue;
        }
        let server = TcpStream::connect(&upstream).await.unwrap();
        tokio::spawn(forward(client, server, state.clone()));
    }
}

async fn forward(client: TcpStream, server: TcpStream, state: Arc<State>) {
    let mut cut = state.cut.subscribe();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let sending = async {
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
            let left = state
                .bytes_left
                .fetch_sub(i64::try_from(read).unwrap(), Ordering::SeqCst);
            let passing = usize::try_from(left.max(0)).unwrap().min(read);
            if to_server.write_all(&buffer[..passing]).await.is_err() || passing < read {
                break;
            }
        }
    };
    tokio::select! {
        () = sending => {}
        _ = tokio::io::copy(&mut from_server, &mut to_client) => {}
        _ = cut.recv() => {}
    }
}
