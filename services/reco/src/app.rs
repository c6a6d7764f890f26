//! The reco service put together: server, consumer and relay.

use std::sync::Arc;

use include_dir::{Dir, include_dir};
use service::{Definition, Foundation, NoCommand, Program, Service, Settings, StartError};
use telemetry::Metrics;
use web::Readiness;

use crate::{config, events, routes};

static MIGRATIONS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../../migrations/reco");

/// What `main` runs.
pub const PROGRAM: Program<NoCommand> = Program {
    variables: config::VARIABLES,
    about: "Recoverly reco: the latest label and trend of each client, for recommendations",
    migrations: &MIGRATIONS,
    openapi: routes::openapi,
    settings: |_| Some(()),
    start: |settings, (), metrics| Box::pin(async move { Ok(start(&settings, metrics)?) }),
    command: |command, _| match command {},
};

/// Starts the service.
///
/// # Errors
/// When the address is taken or a setting is none.
pub fn start(settings: &Settings, metrics: Metrics) -> Result<Service, StartError> {
    let definition = Definition {
        about: routes::ABOUT,
        routes: routes::all,
        // No handler of its own needs any yet.
        state: Arc::new(()),
        handlers: Box::new(events::handlers),
        jobs: Vec::new(),
        terms: Vec::new(),
        readiness: Readiness::new(),
    };
    Service::start(settings, Foundation::new(settings)?, definition, metrics)
}
