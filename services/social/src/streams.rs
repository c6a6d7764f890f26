//! The streams that are open: who watches, up to where each has been told, and the queue that leads to its connection.
//!
//! A handler opens one, the job `stream` feeds all of them. A connection that ends drops its end of the queue, which is
//! found at the next round.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_web::web::Bytes;
use chrono::{DateTime, Utc};
use tokio::sync::mpsc;
use web::{Caller, Problem, Tokens};

use crate::domain::stream::{Place, Snapshot, Watcher};

/// Streams of one process.
const MAX_STREAMS: usize = 5_000;
/// Streams of one person, or of one client by an app.
const MAX_STREAMS_OF_ONE: usize = 8;
/// Answers that may wait for a slow reader. One more closes the stream: the reader comes back and goes on from its place.
const MAX_WAITING: usize = 16;
/// When to come back while there are too many, in seconds.
const RETRY_AFTER_SECONDS: u64 = 10;

/// All of one process. Cloning is cheap and shares them.
#[derive(Clone)]
pub(crate) struct Streams {
    pub(crate) tokens: Tokens,
    seats: Arc<Mutex<HashMap<String, usize>>>,
    opened: Arc<Mutex<Vec<Stream>>>,
    feed: Arc<tokio::sync::Mutex<Feed>>,
}

/// What the job has of them; one round at a time.
#[derive(Default)]
pub(crate) struct Feed {
    pub(crate) streams: Vec<Stream>,
    pub(crate) beat_at: Option<DateTime<Utc>>,
    /// When all tokens were looked up last, and what had been heard of revocations by then.
    pub(crate) tokens_asked: Option<(DateTime<Utc>, Option<u64>)>,
}

/// One that is open.
pub(crate) struct Stream {
    pub(crate) caller: Caller,
    pub(crate) token: [u8; 32],
    /// As row-level security knows the caller.
    pub(crate) actor: String,
    pub(crate) watcher: Watcher,
    /// What it was told of, or need not be.
    pub(crate) seen: Snapshot,
    queue: mpsc::Sender<Bytes>,
}

impl Stream {
    /// Hands it what is to be sent; whether it goes on. One that does not take it is closed.
    pub(crate) fn send(&self, text: String) -> bool {
        self.queue.try_send(text.into()).is_ok()
    }

    pub(crate) fn is_open(&self) -> bool {
        !self.queue.is_closed()
    }
}

/// The connection's end.
pub(crate) struct Reader {
    queue: mpsc::Receiver<Bytes>,
    _seat: Seat,
}

impl Reader {
    /// What is to be sent next; `None` once the stream is closed and everything that waited was sent.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        self.queue.recv().await
    }
}

/// Room for one stream, given back when its connection ends.
pub(crate) struct Seat {
    seats: Arc<Mutex<HashMap<String, usize>>>,
    whose: String,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = held(&self.seats);
        if let Some(taken) = seats.get_mut(&self.whose) {
            *taken -= 1;
            if *taken == 0 {
                seats.remove(&self.whose);
            }
        }
    }
}

impl Streams {
    pub(crate) fn new(tokens: Tokens) -> Self {
        Self {
            tokens,
            seats: Arc::default(),
            opened: Arc::default(),
            feed: Arc::default(),
        }
    }

    /// # Errors
    /// 429 where the caller has too many streams, 503 where there are too many in all.
    pub(crate) fn seat(&self, caller: &Caller) -> Result<Seat, Problem> {
        let whose = caller.identity();
        let mut seats = held(&self.seats);
        if seats.values().sum::<usize>() >= MAX_STREAMS {
            return Err(Problem::unavailable(RETRY_AFTER_SECONDS));
        }
        let taken = seats.entry(whose.clone()).or_default();
        if *taken >= MAX_STREAMS_OF_ONE {
            let detail = format!("{MAX_STREAMS_OF_ONE} streams are open already. Close one of them.");
            return Err(Problem::too_many(RETRY_AFTER_SECONDS, detail));
        }
        *taken += 1;
        let seats = Arc::clone(&self.seats);
        Ok(Seat { seats, whose })
    }

    /// Opens a stream that has been told everything up to this place; `first` is what it begins with.
    pub(crate) fn open(&self, who: Opening, seen: &Place, first: String) -> Reader {
        let (sender, queue) = mpsc::channel(MAX_WAITING);
        let stream = Stream {
            caller: who.caller,
            token: who.token,
            actor: who.actor,
            watcher: who.watcher,
            seen: seen.seen.clone(),
            queue: sender,
        };
        stream.send(first);
        held(&self.opened).push(stream);
        Reader {
            queue,
            _seat: who.seat,
        }
    }

    /// All that are open, for one round.
    pub(crate) async fn feed(&self) -> tokio::sync::OwnedMutexGuard<Feed> {
        let mut feed = Arc::clone(&self.feed).lock_owned().await;
        feed.streams.append(&mut held(&self.opened));
        feed.streams.retain(Stream::is_open);
        feed
    }
}

/// Who opens a stream.
pub(crate) struct Opening {
    pub(crate) caller: Caller,
    pub(crate) token: [u8; 32],
    pub(crate) actor: String,
    pub(crate) watcher: Watcher,
    pub(crate) seat: Seat,
}

/// A panic while it was held cannot leave it half-changed.
fn held<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}
