//! Periodic work: one round at a time, on time or when woken, until the service stops.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::watch;

/// After a failed round the next one waits at least this long, so that a broken job does not spin.
const FAILURE_PAUSE: Duration = Duration::from_secs(1);

/// Why a round failed, in words for the log.
pub type JobError = Box<dyn std::error::Error + Send + Sync>;

type Round = Arc<dyn Fn() -> BoxFuture<'static, Result<u64, JobError>> + Send + Sync>;

/// A job: its name, how often it runs, and one bounded round of it.
#[derive(Clone)]
pub struct Job {
    name: &'static str,
    every: Duration,
    round: Round,
}

impl Job {
    /// `round` does a bounded amount of work and says how much; it is called again at once while there is some.
    pub fn new<F, E>(
        name: &'static str,
        every: Duration,
        round: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<u64, E>> + Send + 'static,
        E: Into<JobError>,
    {
        let round: Round = Arc::new(move || {
            let running = round();
            Box::pin(async move { running.await.map_err(Into::into) })
        });
        Self { name, every, round }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) async fn round(&self) -> Result<u64, JobError> {
        (self.round)().await
    }

    pub(crate) async fn run(self, mut stop: watch::Receiver<bool>) {
        loop {
            let pause = match self.round().await {
                Ok(0) => self.every,
                Ok(done) => {
                    tracing::info!(job = self.name, done, "job round");
                    Duration::ZERO
                }
                Err(error) => {
                    tracing::warn!(job = self.name, %error, "job round failed; it is tried again");
                    self.every.max(FAILURE_PAUSE)
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }
}
