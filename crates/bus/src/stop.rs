//! The wish to stop, as the long-running loops see it.

use std::time::Duration;

use tokio::sync::watch;

/// Wraps the service's shutdown flag. A dropped sender means stop: nobody is left who could ask.
#[derive(Clone, Debug)]
pub(crate) struct Stop(Option<watch::Receiver<bool>>);

impl Stop {
    pub(crate) fn when(shutdown: watch::Receiver<bool>) -> Self {
        Self(Some(shutdown))
    }

    /// For work that is stepped by hand.
    pub(crate) fn never() -> Self {
        Self(None)
    }

    pub(crate) fn requested(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|shutdown| *shutdown.borrow() || shutdown.has_changed().is_err())
    }

    pub(crate) async fn wait(&mut self) {
        match &mut self.0 {
            // An error is the dropped sender.
            Some(shutdown) => drop(shutdown.wait_for(|stop| *stop).await),
            None => std::future::pending().await,
        }
    }

    /// Sleeps, but not into the shutdown.
    pub(crate) async fn sleep(&mut self, pause: Duration) {
        tokio::select! {
            () = self.wait() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}
