//! Attempts to show who one is, a few at a time of each person and each address: right passwords that come together pass
//! one after the other, where the count alone would have to refuse them.
//!
//! The bound of guesses is the count in the database ([`crate::ops::attempt`]). Here its attempts wait for each other in
//! the order in which they came, so that few of them ask it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::domain::throttle::{FREE_ATTEMPTS, Subject};
use crate::error::Error;

/// Attempts of one person or address that wait for those before them, at most; whoever comes next is sent away.
const MAX_WAITING: usize = 128;
/// So many queues may be kept that nobody stands in.
const MAX_IDLE: usize = 1_024;

/// The queues of this process, by the hash of whose they are.
#[derive(Default)]
pub(crate) struct Queues {
    by_hash: Mutex<HashMap<Vec<u8>, Weak<Queue>>>,
}

struct Queue {
    places: Arc<Semaphore>,
    at_work: Arc<Semaphore>,
}

/// A turn in one queue; the next one's when it is dropped.
pub(crate) struct Turn {
    _queue: Arc<Queue>,
    _place: OwnedSemaphorePermit,
    _at_work: OwnedSemaphorePermit,
}

impl Queues {
    /// Waits for a turn of everybody whom an attempt counts for, in their order. No two wait for each other: a person
    /// stands before the address.
    ///
    /// # Errors
    /// [`Error::Crowded`] where a queue is full, or does not get there before the deadline.
    pub(crate) async fn turns(&self, subjects: &[Subject], deadline: Instant) -> Result<Vec<Turn>, Error> {
        let mut turns = Vec::with_capacity(subjects.len());
        for subject in subjects {
            let queue = self.of(&subject.hash);
            let place = Arc::clone(&queue.places).try_acquire_owned();
            let place = place.map_err(|_| Error::Crowded)?;
            let at_work = timeout_at(deadline, Arc::clone(&queue.at_work).acquire_owned()).await;
            turns.push(Turn {
                _place: place,
                _at_work: at_work.ok().and_then(Result::ok).ok_or(Error::Crowded)?,
                _queue: queue,
            });
        }
        Ok(turns)
    }

    fn of(&self, hash: &[u8]) -> Arc<Queue> {
        let mut by_hash = self.by_hash.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = by_hash.get(hash).and_then(Weak::upgrade) {
            return queue;
        }
        if by_hash.len() >= MAX_IDLE {
            by_hash.retain(|_, queue| queue.strong_count() > 0);
        }
        let queue = Arc::new(Queue {
            places: Arc::new(Semaphore::new(FREE_ATTEMPTS + MAX_WAITING)),
            at_work: Arc::new(Semaphore::new(FREE_ATTEMPTS)),
        });
        by_hash.insert(hash.to_vec(), Arc::downgrade(&queue));
        queue
    }
}

#[cfg(test)]
#[expect(clippy::expect_used, reason = "a test fails by panicking")]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::throttle::Who;

    #[tokio::test]
    async fn a_queue_has_an_end_in_length_and_in_time_and_goes_on_when_a_turn_is_over() {
        let queues = Queues::default();
        let who = [Subject::of(Who::Account("a"), b"key")];
        let soon = || Instant::now() + Duration::from_millis(50);
        let mut at_work = Vec::new();
        for _ in 0..FREE_ATTEMPTS {
            at_work.extend(queues.turns(&who, soon()).await.expect("a turn"));
        }
        let waiting = futures::future::join_all((0..MAX_WAITING).map(|_| queues.turns(&who, soon())));
        let one_more = async { queues.turns(&who, soon()).await.err() };
        let (waited, refused) = futures::join!(waiting, one_more);
        assert!(matches!(refused, Some(Error::Crowded)), "{refused:?}");
        assert!(waited.iter().all(Result::is_err), "nobody's turn came in time");
        let others = [Subject::of(Who::Account("b"), b"key")];
        queues.turns(&others, soon()).await.expect("another queue");
        at_work.pop();
        queues.turns(&who, soon()).await.expect("the turn that is free");
    }
}
