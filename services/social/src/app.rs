//! The social service put together: server, consumer, relay and jobs.

use std::sync::Arc;
use std::time::Duration;

use bus::{Consumer, Relay};
use include_dir::{Dir, include_dir};
use service::{Clock, Definition, Foundation, Job, NoCommand, Program, Service, Settings, StartError};
use telemetry::Metrics;
use web::Readiness;

use crate::gather::{Gather, Gatherers};
use crate::{config, events, jobs, routes};

static MIGRATIONS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../../migrations/social");

/// What `main` runs.
pub const PROGRAM: Program<NoCommand> = Program {
    variables: config::VARIABLES,
    about: "Recoverly social: risk profiles, nudges and escalations from scored messages",
    migrations: &MIGRATIONS,
    openapi: routes::openapi,
    start: |settings, metrics| {
        Box::pin(async move { Ok(App::start(&settings, Clock::database(), metrics)?.service) })
    },
    command: |command, _| match command {},
};

/// How often each job looks for work when it found none.
const SWEEP_EVERY: Duration = Duration::from_secs(5);
const RELEASE_EVERY: Duration = Duration::from_secs(5);
const NOTIFY_EVERY: Duration = Duration::from_secs(5);
const LEASES_EVERY: Duration = Duration::from_secs(2);

/// What handlers, consumers and jobs share.
#[derive(Clone)]
pub(crate) struct State {
    pub(crate) db: db::Db,
    pub(crate) outbox: bus::Outbox,
    pub(crate) clock: Clock,
    pub(crate) gather: Gather,
}

/// A running social service; tests step its workers by hand.
pub struct App {
    service: Service,
    foundation: Foundation,
    state: Arc<State>,
}

impl App {
    /// Starts the service.
    ///
    /// # Errors
    /// When the address is taken or a setting is none.
    pub fn start(settings: &Settings, clock: Clock, metrics: Metrics) -> Result<Self, StartError> {
        let foundation = Foundation::new(settings)?;
        let (gather, gatherers) =
            Gather::new(foundation.db.clone(), foundation.outbox.clone(), clock.clone());
        let state = Arc::new(State {
            db: foundation.db.clone(),
            outbox: foundation.outbox.clone(),
            clock,
            gather,
        });
        let definition = Definition {
            about: routes::ABOUT,
            routes: routes::all,
            state: Arc::clone(&state),
            handlers: events::handlers(&state),
            jobs: jobs(&state),
            readiness: Readiness::new(),
        };
        start_gatherers(gatherers);
        let service = Service::start(settings, &foundation, definition, metrics)?;
        Ok(Self {
            service,
            foundation,
            state,
        })
    }

    /// `http://` and the address it serves on.
    #[must_use]
    pub fn base_url(&self) -> String {
        self.service.base_url()
    }

    /// A consumer that a test steps by hand.
    #[must_use]
    pub fn consumer(&self) -> Consumer {
        self.foundation.consumer(events::handlers(&self.state))
    }

    /// A relay that a test steps by hand.
    #[must_use]
    pub fn relay(&self) -> Relay {
        self.foundation.relay()
    }

    /// One round of the sweep: how many profiles it recomputed.
    ///
    /// # Errors
    /// When Postgres is away.
    pub async fn sweep(&self) -> Result<u64, db::Error> {
        jobs::sweep::round(&self.state).await
    }

    /// One round of sending due nudges: how many were sent or expired.
    ///
    /// # Errors
    /// When Postgres is away.
    pub async fn release_nudges(&self) -> Result<u64, db::Error> {
        jobs::release::round(&self.state).await
    }

    /// One round of telling staff of escalations that nobody was told of: how many were told.
    ///
    /// # Errors
    /// When Postgres is away.
    pub async fn notify(&self) -> Result<u64, db::Error> {
        jobs::notify::round(&self.state).await
    }

    /// One round of taking back acknowledgements that ran out: how many did.
    ///
    /// # Errors
    /// When Postgres is away.
    pub async fn expire_leases(&self) -> Result<u64, db::Error> {
        jobs::leases::round(&self.state).await
    }

    /// Stops in order.
    pub async fn stop(self) {
        self.service.stop().await;
    }
}

fn jobs(state: &Arc<State>) -> Vec<Job> {
    let (sweep, release, notify, leases) = (
        Arc::clone(state),
        Arc::clone(state),
        Arc::clone(state),
        Arc::clone(state),
    );
    vec![
        Job::new("sweep", SWEEP_EVERY, move || {
            let state = Arc::clone(&sweep);
            async move { jobs::sweep::round(&state).await }
        }),
        Job::new("release", RELEASE_EVERY, move || {
            let state = Arc::clone(&release);
            async move { jobs::release::round(&state).await }
        }),
        Job::new("notify", NOTIFY_EVERY, move || {
            let state = Arc::clone(&notify);
            async move { jobs::notify::round(&state).await }
        }),
        Job::new("leases", LEASES_EVERY, move || {
            let state = Arc::clone(&leases);
            async move { jobs::leases::round(&state).await }
        }),
    ]
}

/// The gatherers end by themselves when the last handler that can hand them work is gone.
fn start_gatherers(gatherers: Gatherers) {
    for gatherer in gatherers {
        #[expect(
            clippy::disallowed_methods,
            reason = "ends when the server has dropped its handlers"
        )]
        tokio::spawn(gatherer);
    }
}
