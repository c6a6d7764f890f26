//! The risk service put together: server, consumer, relay and jobs.

use std::sync::Arc;

use include_dir::{Dir, include_dir};
use service::{Clock, Definition, Foundation, Job, NoCommand, Program, Service, Settings, StartError};
use telemetry::Metrics;
use tokio::sync::Semaphore;
use web::Readiness;

use crate::config::Config;
use crate::state::{MAX_BATCHES_AT_WORK, State};
use crate::{config, events, routes};

static MIGRATIONS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../../migrations/risk");

/// What `main` runs.
pub const PROGRAM: Program<NoCommand, Config> = Program {
    variables: config::VARIABLES,
    about: "Recoverly risk: what models say of a client's risk of relapse, why, and how good they are",
    migrations: &MIGRATIONS,
    openapi: routes::openapi,
    settings: |env| Config::read(env),
    start: |settings, config, metrics| {
        Box::pin(async move { Ok(start(&settings, &config, Clock::database(), metrics)?) })
    },
    command: |command, _| match command {},
};

/// Starts the service.
///
/// # Errors
/// When the address is taken or a setting is none.
pub fn start(
    settings: &Settings,
    config: &Config,
    clock: Clock,
    metrics: Metrics,
) -> Result<Service, StartError> {
    let foundation = Foundation::new(settings)?;
    let state = Arc::new(State {
        db: foundation.db.clone(),
        outbox: foundation.outbox.clone(),
        clock,
        batches: Arc::new(Semaphore::new(MAX_BATCHES_AT_WORK)),
    });
    let definition = Definition {
        about: routes::ABOUT,
        routes: routes::all,
        jobs: jobs(&state),
        terms: config.terms(),
        handlers: Box::new(events::handlers),
        readiness: Readiness::new(),
        state,
    };
    Service::start(settings, foundation, definition, metrics)
}

/// Each job by the name that logs and tests call it.
fn jobs(_: &Arc<State>) -> Vec<Job> {
    Vec::new()
}
