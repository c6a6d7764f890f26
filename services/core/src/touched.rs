//! Which memories were read or found lately: gathered here and written by a job, so that a read writes nothing.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

/// So many wait at most. When they were last read orders what is pruned: one that is not noted is no loss.
const MAX_WAITING: usize = 20_000;

/// Ids of memories that wait to be noted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Touched(Arc<Mutex<HashSet<Uuid>>>);

impl Touched {
    /// Notes memories that were read or found.
    pub(crate) fn note(&self, ids: impl IntoIterator<Item = Uuid>) {
        let mut waiting = self.waiting();
        for id in ids {
            if waiting.len() < MAX_WAITING {
                waiting.insert(id);
            }
        }
    }

    /// Takes all that wait.
    pub(crate) fn take(&self) -> Vec<Uuid> {
        std::mem::take(&mut *self.waiting()).into_iter().collect()
    }

    /// A panic while it was held cannot leave it half-changed.
    fn waiting(&self) -> MutexGuard<'_, HashSet<Uuid>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_bounded_and_taken_once() {
        let touched = Touched::default();
        let twice = Uuid::from_u128(1);
        touched.note([twice, twice]);
        assert_eq!(touched.take(), [twice]);
        touched.note((0..MAX_WAITING as u128 + 5).map(Uuid::from_u128));
        assert_eq!(touched.take().len(), MAX_WAITING);
        assert!(touched.take().is_empty());
    }
}
