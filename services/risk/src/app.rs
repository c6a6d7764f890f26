//! The risk service put together: server, consumer and relay.

use std::sync::Arc;

use bus::{Consumer, Relay};
use include_dir::{Dir, include_dir};
use service::{Definition, Foundation, NoCommand, Program, Service, Settings, StartError};
use telemetry::Metrics;
use web::Readiness;

use crate::{config, events, routes};

static MIGRATIONS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../../migrations/risk");

/// What `main` runs.
pub const PROGRAM: Program<NoCommand> = Program {
    variables: config::VARIABLES,
    about: "Recoverly risk: how much a client writes a day, for the models that predict a relapse",
    migrations: &MIGRATIONS,
    openapi: routes::openapi,
    start: |settings, metrics| Box::pin(async move { Ok(App::start(&settings, metrics)?.service) }),
    command: |command, _| match command {},
};

/// A running risk service; tests step its workers by hand.
pub struct App {
    service: Service,
    foundation: Foundation,
}

impl App {
    /// Starts the service.
    ///
    /// # Errors
    /// When the address is taken or a setting is none.
    pub fn start(settings: &Settings, metrics: Metrics) -> Result<Self, StartError> {
        let foundation = Foundation::new(settings)?;
        let definition = Definition {
            about: routes::ABOUT,
            routes: routes::all,
            // No handler of its own needs any yet.
            state: Arc::new(()),
            handlers: events::handlers(),
            jobs: Vec::new(),
            readiness: Readiness::new(),
        };
        let service = Service::start(settings, &foundation, definition, metrics)?;
        Ok(Self { service, foundation })
    }

    /// `http://` and the address it serves on.
    #[must_use]
    pub fn base_url(&self) -> String {
        self.service.base_url()
    }

    /// A consumer that a test steps by hand.
    #[must_use]
    pub fn consumer(&self) -> Consumer {
        self.foundation.consumer(events::handlers())
    }

    /// A relay that a test steps by hand.
    #[must_use]
    pub fn relay(&self) -> Relay {
        self.foundation.relay()
    }

    /// Stops in order.
    pub async fn stop(self) {
        self.service.stop().await;
    }
}
