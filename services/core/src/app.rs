//! The core service put together: server, consumer, relay, and the operator's commands.

use std::sync::Arc;

use clap::Subcommand;
use include_dir::{Dir, include_dir};
use service::{Definition, Foundation, Program, Service, Settings, StartError};
use telemetry::Metrics;
use web::Readiness;

use crate::clerk::Clerk;
use crate::config::OwnSettings;
use crate::state::State;
use crate::{admin, config, events, routes};

static MIGRATIONS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../../migrations/core");

/// What `main` runs.
pub const PROGRAM: Program<Command, OwnSettings> = Program {
    variables: config::VARIABLES,
    about: "Recoverly core: accounts, caseloads, messages, and the leases by which pipelines take them to score",
    migrations: &MIGRATIONS,
    openapi: routes::openapi,
    own_settings: OwnSettings::read,
    start: |settings, own, metrics| Box::pin(async move { Ok(start(&settings, &own, metrics)?) }),
    command: |command, env| match command {
        Command::Admin(command) => Box::pin(admin::main(command, env)),
    },
};

/// What the program does besides serving and migrating.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Accounts, programs and tokens, by the operator who has the service's database URL.
    #[command(subcommand)]
    Admin(admin::Command),
}

/// Starts the service.
///
/// # Errors
/// When the address is taken or a setting is none.
pub fn start(settings: &Settings, own: &OwnSettings, metrics: Metrics) -> Result<Service, StartError> {
    let foundation = Foundation::new(settings)?;
    let state = State {
        db: foundation.db.clone(),
        outbox: foundation.outbox.clone(),
        clerk: Clerk::new(&own.clerk),
    };
    let definition = Definition {
        about: routes::ABOUT,
        routes: routes::all,
        state: Arc::new(state),
        handlers: Box::new(events::handlers),
        jobs: Vec::new(),
        readiness: Readiness::new(),
    };
    Service::start(settings, foundation, definition, metrics)
}
