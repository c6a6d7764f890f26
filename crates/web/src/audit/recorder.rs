//! Rows that are committed in groups: while one group is on its way, the next gathers. An entry that comes alone waits for
//! nobody.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use db::{Db, Json};
use tokio::sync::oneshot;

use super::{Entry, WRITE};
use crate::problem::Problem;

/// Entries of one commit.
const MAX_GROUP_ENTRIES: usize = 256;

/// Entries that may wait; a request beyond them is refused.
const MAX_WAITING_ENTRIES: usize = 10_000;

/// When to come back where the audit cannot be written, in seconds.
const RETRY_AFTER_SECONDS: u64 = 5;

/// Records what has no transaction of its own. Cloning is cheap and shares the queue.
#[derive(Clone)]
pub struct Auditor(Arc<Inner>);

struct Inner {
    sink: Sink,
    queue: Mutex<Queue>,
}

enum Sink {
    Postgres(Box<Db>),
    #[cfg(test)]
    Memory(Mutex<Vec<Entry>>),
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Waiting>,
    /// Whether somebody is writing, who will take what waits next.
    writing: bool,
}

struct Waiting {
    entry: Entry,
    written: oneshot::Sender<()>,
}

impl Waiting {
    fn answer(self) {
        // Whoever has gone away needs no answer.
        self.written.send(()).ok();
    }
}

impl Auditor {
    /// Records into Postgres.
    pub fn new(db: Db) -> Self {
        Self::with(Sink::Postgres(Box::new(db)))
    }

    /// Keeps entries in memory.
    #[cfg(test)]
    pub(crate) fn in_memory() -> Self {
        Self::with(Sink::Memory(Mutex::default()))
    }

    /// What was kept in memory.
    #[cfg(test)]
    pub(crate) fn kept(&self) -> Vec<Entry> {
        match &self.0.sink {
            Sink::Postgres(_) => Vec::new(),
            Sink::Memory(kept) => kept.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    fn with(sink: Sink) -> Self {
        Self(Arc::new(Inner {
            sink,
            queue: Mutex::default(),
        }))
    }

    /// Returns once the entry is committed on the primary.
    ///
    /// # Errors
    /// 503 when it is not.
    pub(crate) async fn record(&self, entry: Entry) -> Result<(), Problem> {
        let (written, done) = oneshot::channel();
        let unavailable = || Problem::unavailable(RETRY_AFTER_SECONDS).with_cause("the audit is not written");
        let is_first = {
            let mut queue = self.queue();
            if queue.waiting.len() >= MAX_WAITING_ENTRIES {
                return Err(unavailable());
            }
            queue.waiting.push(Waiting { entry, written });
            !std::mem::replace(&mut queue.writing, true)
        };
        if is_first {
            // Not within this request: should it be given up, those who wait beside it must not be.
            #[expect(
                clippy::disallowed_methods,
                reason = "ends by itself once nobody waits; requests in flight wait for it, and a stop for them"
            )]
            tokio::spawn(self.clone().write_all());
        }
        done.await.map_err(|_| unavailable())
    }

    async fn write_all(self) {
        // Dropped in any way, it lets the next entry begin anew; whoever waits is then told that nothing was written.
        let mut writer = Writer {
            auditor: &self,
            has_ended: false,
        };
        while let Some(group) = writer.next() {
            self.write_group(group).await;
        }
    }

    /// What fails as a group is tried one by one, so that nobody pays for a neighbour; while Postgres is away everybody is
    /// told so at once.
    async fn write_group(&self, group: Vec<Waiting>) {
        let entries: Vec<Entry> = group.iter().map(|one| one.entry.clone()).collect();
        let outcome = self.write(entries).await;
        let alone = group.len() == 1;
        match outcome {
            Ok(()) => group.into_iter().for_each(Waiting::answer),
            Err(error) if alone || error.is_unavailable() => {
                let refused = group.len();
                tracing::error!(%error, refused, "the audit cannot be written: requests are refused");
            }
            Err(_) => {
                for one in group {
                    match self.write(vec![one.entry.clone()]).await {
                        Ok(()) => one.answer(),
                        Err(error) => {
                            tracing::error!(%error, "the audit cannot be written: a request is refused");
                        }
                    }
                }
            }
        }
    }

    async fn write(&self, entries: Vec<Entry>) -> Result<(), db::Error> {
        match &self.0.sink {
            Sink::Postgres(db) => db.call(WRITE, &[&Json(entries)]).await.map(drop),
            #[cfg(test)]
            Sink::Memory(kept) => {
                kept.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .extend(entries);
                Ok(())
            }
        }
    }

    /// A panic while it was held cannot leave it half-changed.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever writes at present.
struct Writer<'a> {
    auditor: &'a Auditor,
    has_ended: bool,
}

impl Writer<'_> {
    /// What waits; with nothing, the writing has ended.
    fn next(&mut self) -> Option<Vec<Waiting>> {
        let mut queue = self.auditor.queue();
        let group = queue.waiting.len().min(MAX_GROUP_ENTRIES);
        queue.writing = group > 0;
        self.has_ended = group == 0;
        queue.writing.then(|| queue.waiting.drain(..group).collect())
    }
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        if !self.has_ended {
            let mut queue = self.auditor.queue();
            queue.writing = false;
            queue.waiting.clear();
        }
    }
}

impl std::fmt::Debug for Auditor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Auditor")
    }
}
