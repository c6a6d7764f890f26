//! Whether a relay or consumer has the broker, for readiness.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A view of one session. Cheap to clone; outlives the relay or consumer it came from.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<AtomicBool>);

impl Health {
    /// Whether a session with the broker is open. A broker away is no reason to refuse writes: they wait in
    /// the outbox.
    #[must_use]
    pub fn connected(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, connected: bool) {
        self.0.store(connected, Ordering::Relaxed);
    }
}
