//! The risk service put together: server, consumer, relay and jobs.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use include_dir::{Dir, include_dir};
use service::{Clock, Definition, Foundation, Job, NoCommand, Program, Service, Settings, StartError};
use telemetry::Metrics;
use tokio::sync::Semaphore;
use web::Readiness;

use crate::config::Config;
use crate::counted::Counted;
use crate::error::Error;
use crate::state::{MAX_BATCHES_AT_WORK, MAX_MEASURING, MAX_SINGLES_AT_WORK, State};
use crate::{config, events, jobs, routes};

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

/// How often each job looks for work when it found none.
const LABEL_EVERY: Duration = Duration::from_secs(30);
const LEVELS_EVERY: Duration = Duration::from_secs(5);
/// Once a day is over; it is looked for more often.
const MEASURE_EVERY: Duration = Duration::from_secs(300);
const DRIFT_EVERY: Duration = Duration::from_secs(60);
// Whom a version that has just become live calls very high is paged by it.
const STAGES_EVERY: Duration = Duration::from_secs(1);

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
        counted: Counted::new(),
        drift: config.drift.clone(),
        measuring: Arc::new(Semaphore::new(MAX_MEASURING)),
        singles: Arc::new(Semaphore::new(MAX_SINGLES_AT_WORK)),
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
fn jobs(state: &Arc<State>) -> Vec<Job> {
    vec![
        job("label", LABEL_EVERY, state, |state| {
            Box::pin(async move { jobs::label::round(&state).await })
        }),
        job("levels", LEVELS_EVERY, state, |state| {
            Box::pin(async move { jobs::levels::round(&state).await })
        }),
        job("measure", MEASURE_EVERY, state, |state| {
            Box::pin(async move { jobs::measure::round(&state).await })
        }),
        job("drift", DRIFT_EVERY, state, |state| {
            Box::pin(async move { jobs::drift::round(&state).await })
        }),
        job("stages", STAGES_EVERY, state, |state| {
            Box::pin(async move { jobs::stages::round(&state).await })
        }),
    ]
}

fn job(
    name: &'static str,
    every: Duration,
    state: &Arc<State>,
    round: fn(Arc<State>) -> BoxFuture<'static, Result<u64, Error>>,
) -> Job {
    let state = Arc::clone(state);
    Job::new(name, every, move || round(Arc::clone(&state)))
}
