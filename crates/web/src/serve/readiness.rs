//! `/readyz`: whether this process can serve, and what is away if it cannot.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use serde::Serialize;
use tokio::sync::watch;
use utoipa::ToSchema;

/// How long one check may take, in milliseconds; what answers more slowly counts as down.
const CHECK_TIMEOUT_MILLISECONDS: u64 = 1_000;

type Probe = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// The named checks of a service. Cloning is cheap and shares them.
#[derive(Clone, Default)]
pub struct Readiness {
    checks: Arc<Vec<Check>>,
    stopping: Arc<watch::Sender<bool>>,
}

#[derive(Clone)]
struct Check {
    name: &'static str,
    required: bool,
    probe: Probe,
}

/// What `/readyz` answers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReadyBody {
    /// `ready`, `not_ready` or `stopping`.
    status: &'static str,
    /// `ok` or `down`, by the name of the check.
    checks: BTreeMap<&'static str, &'static str>,
}

impl ReadyBody {
    pub(crate) fn is_ready(&self) -> bool {
        self.status == "ready"
    }
}

impl Readiness {
    /// No checks: always ready, until it is stopped.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a check without which the service cannot serve.
    #[must_use]
    pub fn require<F, E>(self, name: &'static str, probe: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Display,
    {
        self.with(name, true, probe)
    }

    /// Adds a check that is shown, but does not make the service unready.
    #[must_use]
    pub fn watch<F, E>(self, name: &'static str, probe: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Display,
    {
        self.with(name, false, probe)
    }

    fn with<F, E>(
        self,
        name: &'static str,
        required: bool,
        probe: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Display,
    {
        let probe: Probe = Arc::new(move || {
            probe()
                .map(|result| result.map_err(|error| error.to_string()))
                .boxed()
        });
        let mut checks = Arc::unwrap_or_clone(self.checks);
        checks.push(Check {
            name,
            required,
            probe,
        });
        Self {
            checks: Arc::new(checks),
            stopping: self.stopping,
        }
    }

    /// Makes it not ready for good, because the process is about to stop.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Resolves once the process is about to stop: what would go on for ever ends here, so that nothing waits for it.
    pub async fn stopped(&self) {
        let mut stopping = self.stopping.subscribe();
        // The sender is our own.
        drop(stopping.wait_for(|stopping| *stopping).await);
    }

    /// Asks all checks at once.
    pub(crate) async fn report(&self) -> ReadyBody {
        let outcomes = join_all(self.checks.iter().map(Check::is_up)).await;
        let required_down = self
            .checks
            .iter()
            .zip(&outcomes)
            .any(|(check, up)| check.required && !up);
        let words = outcomes.iter().map(|up| if *up { "ok" } else { "down" });
        let status = match (*self.stopping.borrow(), required_down) {
            (true, _) => "stopping",
            (false, true) => "not_ready",
            (false, false) => "ready",
        };
        ReadyBody {
            status,
            checks: self.checks.iter().map(|check| check.name).zip(words).collect(),
        }
    }
}

impl Check {
    async fn is_up(&self) -> bool {
        let deadline = Duration::from_millis(CHECK_TIMEOUT_MILLISECONDS);
        let reason = match tokio::time::timeout(deadline, (self.probe)()).await {
            Ok(Ok(())) => return true,
            Ok(Err(reason)) => reason,
            Err(_) => format!("no answer in {CHECK_TIMEOUT_MILLISECONDS} ms"),
        };
        tracing::warn!(check = self.name, reason, "not ready");
        false
    }
}

impl std::fmt::Debug for Readiness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.checks.iter().map(|check| check.name))
            .finish()
    }
}
