//! The social service put together: server, consumer, relay and jobs.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use include_dir::{Dir, include_dir};
use service::{Clock, Definition, Foundation, Job, NoCommand, Program, Service, Settings, StartError};
use telemetry::Metrics;
use tokio::sync::Semaphore;
use web::Pace;

use crate::config::Config;
use crate::error::Error;
use crate::gather::{Gather, Gatherers};
use crate::paging::{self, Paging};
use crate::state::{
    CONTACT_METHODS_PER_MINUTE, MAX_BATCHES_AT_WORK, MAX_PREVIEWS, MAX_ROSTER_CHANGES, State,
};
use crate::streams::Streams;
use crate::{config, events, jobs, metrics, routes};

static MIGRATIONS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../../migrations/social");

/// What `main` runs.
pub const PROGRAM: Program<NoCommand, Config> = Program {
    variables: config::VARIABLES,
    about: "Recoverly social: risk profiles, nudges and escalations from scored messages",
    migrations: &MIGRATIONS,
    openapi: routes::openapi,
    settings: |env| Config::read(env),
    start: |settings, config, metrics| {
        Box::pin(async move { Ok(start(&settings, &config, Clock::database(), metrics)?) })
    },
    command: |command, _| match command {},
};

/// How often each job looks for work when it found none.
const SWEEP_EVERY: Duration = Duration::from_secs(5);
const RELEASE_EVERY: Duration = Duration::from_secs(5);
const ROTATIONS_EVERY: Duration = Duration::from_secs(30);
const DUTY_EVERY: Duration = Duration::from_secs(2);
const ADVANCE_EVERY: Duration = Duration::from_secs(2);
// The first attempt of a page is made within two seconds.
const DELIVER_EVERY: Duration = Duration::from_millis(500);
const CODES_EVERY: Duration = Duration::from_secs(1);
const LAPSE_EVERY: Duration = Duration::from_secs(60);
const SILENCE_EVERY: Duration = Duration::from_secs(60);
const REMIND_EVERY: Duration = Duration::from_secs(30);
const WATCH_EVERY: Duration = Duration::from_secs(15);
const FORECAST_EVERY: Duration = Duration::from_secs(60);
const DRILL_EVERY: Duration = Duration::from_secs(30);
const STREAM_EVERY: Duration = Duration::from_millis(250);

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
    let (gather, gatherers) = Gather::new(foundation.db.clone(), foundation.outbox.clone(), clock.clone());
    start_gatherers(gatherers);
    let paging = config.paging.as_ref().map(Paging::new).transpose()?.map(Arc::new);
    let readiness = paging::watched(paging.as_ref());
    let state = Arc::new(State {
        db: foundation.db.clone(),
        outbox: foundation.outbox.clone(),
        clock,
        gather,
        batches: Arc::new(Semaphore::new(MAX_BATCHES_AT_WORK)),
        rosters: Arc::new(Semaphore::new(MAX_ROSTER_CHANGES)),
        paging,
        contact_pace: Pace::per_minute(CONTACT_METHODS_PER_MINUTE),
        silence_hours: config.silence_hours,
        preview_rows: config.preview_rows,
        watch: config.watch.clone(),
        metrics: metrics::Metrics::new(&metrics),
        previews: Arc::new(Semaphore::new(MAX_PREVIEWS)),
        streams: Streams::new(foundation.tokens.clone()),
        readiness: readiness.clone(),
    });
    let for_events = Arc::clone(&state);
    let definition = Definition {
        about: routes::ABOUT,
        routes: routes::all,
        jobs: jobs(&state),
        terms: config.terms(),
        handlers: Box::new(move || events::handlers(&for_events)),
        readiness,
        state,
    };
    Service::start(settings, foundation, definition, metrics)
}

/// Each job by the name that logs and tests call it.
fn jobs(state: &Arc<State>) -> Vec<Job> {
    vec![
        job("sweep", SWEEP_EVERY, state, |state| {
            Box::pin(async move { jobs::sweep::round(&state).await })
        }),
        job("release", RELEASE_EVERY, state, |state| {
            Box::pin(async move { jobs::release::round(&state).await })
        }),
        job("advance", ADVANCE_EVERY, state, |state| {
            Box::pin(async move { jobs::advance::round(&state).await })
        }),
        job("rotations", ROTATIONS_EVERY, state, |state| {
            Box::pin(async move { jobs::rotations::round(&state).await })
        }),
        job("duty", DUTY_EVERY, state, |state| {
            Box::pin(async move { jobs::duty::round(&state).await })
        }),
        job("deliver", DELIVER_EVERY, state, |state| {
            Box::pin(async move { jobs::deliver::round(&state).await })
        }),
        job("codes", CODES_EVERY, state, |state| {
            Box::pin(async move { jobs::codes::round(&state).await })
        }),
        job("lapse", LAPSE_EVERY, state, |state| {
            Box::pin(async move { jobs::lapse::round(&state).await })
        }),
        job("silence", SILENCE_EVERY, state, |state| {
            Box::pin(async move { jobs::silence::round(&state).await })
        }),
        job("remind", REMIND_EVERY, state, |state| {
            Box::pin(async move { jobs::remind::round(&state).await })
        }),
        job("watch", WATCH_EVERY, state, |state| {
            Box::pin(async move { jobs::watch::round(&state).await })
        }),
        job("forecast", FORECAST_EVERY, state, |state| {
            Box::pin(async move { jobs::forecast::round(&state).await })
        }),
        job("drill", DRILL_EVERY, state, |state| {
            Box::pin(async move { jobs::drill::round(&state).await })
        }),
        job("stream", STREAM_EVERY, state, |state| {
            Box::pin(async move { jobs::stream::round(&state).await })
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
