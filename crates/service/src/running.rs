//! A running service: what it is made of, how it starts and how it stops.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bus::{Broker, Consumer, Handlers, Outbox, Relay};
use db::{Db, Migrations, migrate};
use telemetry::Metrics;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use utoipa_actix_web::service_config::ServiceConfig;
use web::{About, Auditor, CursorKey, ErasureKey, Readiness, Server, ServerHandle, Site, Tokens};

use crate::job::{Job, JobError};
use crate::{Settings, Term, retention};

/// While Postgres is away at start it is asked again after this long.
const START_RETRY: Duration = Duration::from_millis(200);

/// Why a service did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The settings of the database.
    #[error(transparent)]
    Db(#[from] db::Error),
    /// The settings of the broker.
    #[error(transparent)]
    Bus(#[from] bus::Error),
    /// The address, most often.
    #[error("the server did not start: {0}")]
    Server(#[from] std::io::Error),
    /// A secret that makes no key.
    #[error("{0} cannot be used as a key")]
    Key(&'static str),
    /// A URL that is none.
    #[error("{0} is no URL of such a server")]
    Url(&'static str),
    /// The schema is behind the code.
    #[error(
        "schema {schema} is at version {found}, this build needs {needed}: run `recoverly-{schema} migrate up` first"
    )]
    Schema {
        /// The service's schema.
        schema: &'static str,
        /// What the database has.
        found: i64,
        /// What the code was built with.
        needed: i64,
    },
}

/// What a service's own state is built on.
#[derive(Clone)]
pub struct Foundation {
    /// Its database.
    pub db: Db,
    /// Where its events are written.
    pub outbox: Outbox,
    /// Its way to RabbitMQ.
    pub broker: Broker,
    /// The tokens it accepts.
    pub tokens: Tokens,
}

impl Foundation {
    /// Prepares the ways to Postgres and RabbitMQ without going them.
    ///
    /// # Errors
    /// When a URL is none.
    pub fn new(settings: &Settings) -> Result<Self, StartError> {
        let db = Db::new(&settings.database)?;
        Ok(Self {
            tokens: Tokens::new(db.clone()),
            db,
            outbox: Outbox::new(settings.name),
            broker: Broker::new(settings.amqp_url.clone(), settings.name)?,
        })
    }

    fn relay(&self) -> Relay {
        Relay::new(self.broker.clone(), self.db.clone(), &self.outbox)
    }

    fn consumer(&self, handlers: Handlers) -> Consumer {
        Consumer::new(self.broker.clone(), self.db.clone(), handlers)
    }

    /// Waits for Postgres, then refuses a schema that is older than the code.
    ///
    /// # Errors
    /// [`StartError::Schema`].
    pub async fn check_schema(&self, migrations: &Migrations) -> Result<(), StartError> {
        let needed = migrations.latest_version();
        loop {
            match migrate::current_version(&self.db).await {
                Ok(found) if found >= needed => return Ok(()),
                Ok(found) => {
                    return Err(StartError::Schema {
                        schema: self.db.schema(),
                        found,
                        needed,
                    });
                }
                Err(error) if error.is_unavailable() => {
                    tracing::warn!(%error, "waiting for Postgres");
                    tokio::time::sleep(START_RETRY).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// What makes a service the one it is.
pub struct Definition<S> {
    /// How it introduces itself.
    pub about: About,
    /// Its routes.
    pub routes: fn(&mut ServiceConfig<'_>),
    /// What its handlers take as `Data<S>`.
    pub state: Arc<S>,
    /// Its consumers by topic.
    pub handlers: Box<dyn Fn() -> Handlers + Send + Sync>,
    /// Its periodic work, besides what every service does.
    pub jobs: Vec<Job>,
    /// What it keeps for a while only, besides what every service does.
    pub terms: Vec<Term>,
    /// What else the service needs to be ready, or shows there.
    pub readiness: Readiness,
}

/// A started service. Tests step its consumer, relay and jobs by hand.
pub struct Service {
    foundation: Foundation,
    handlers: Box<dyn Fn() -> Handlers + Send + Sync>,
    jobs: Vec<Job>,
    address: SocketAddr,
    server: ServerHandle,
    serving: JoinHandle<std::io::Result<()>>,
    /// First what takes work in, then what sends it out: stopped in this order, each finished before the next.
    stages: Vec<Stage>,
}

struct Stage {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Stage {
    fn new() -> Self {
        Self {
            stop: watch::Sender::new(false),
            tasks: Vec::new(),
        }
    }

    fn start<F: Future<Output = ()> + Send + 'static>(
        &mut self,
        task: impl FnOnce(watch::Receiver<bool>) -> F,
    ) {
        self.tasks.push(spawn(task(self.stop.subscribe())));
    }

    async fn finish(self) {
        self.stop.send_replace(true);
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a background task ended badly");
            }
        }
    }
}

impl Service {
    /// Binds the server and starts everything.
    ///
    /// # Errors
    /// When the address is taken or a setting is none.
    pub fn start<S: Send + Sync + 'static>(
        settings: &Settings,
        foundation: Foundation,
        definition: Definition<S>,
        metrics: Metrics,
    ) -> Result<Self, StartError> {
        let tokens = foundation.tokens.clone();
        let mut readiness = with_postgres(definition.readiness, &foundation.db, settings.schema_version_min);
        let mut jobs = definition.jobs;
        jobs.push(retention::job(&foundation.db, definition.terms));
        let (mut intake, mut outlet) = (Stage::new(), Stage::new());
        if settings.background {
            let consumer = foundation.consumer((definition.handlers)());
            let relay = foundation.relay();
            let (consuming, publishing) = (consumer.health(), relay.health());
            // Shown, not required: writes succeed while the broker is away.
            readiness = readiness.watch("broker", move || {
                let connected = consuming.connected() && publishing.connected();
                async move { if connected { Ok(()) } else { Err("not connected") } }
            });
            intake.start(|stop| consumer.run(stop));
            for job in jobs.clone() {
                intake.start(|stop| job.run(stop));
            }
            outlet.start(|stop| relay.run(stop));
        }
        let cache = tokens.clone();
        outlet.start(|mut stop| cache.run(async move { drop(stop.wait_for(|stop| *stop).await) }));
        let server = Server::bind(
            &settings.server,
            Site {
                about: definition.about,
                routes: definition.routes,
                state: definition.state,
                db: foundation.db.clone(),
                cursors: CursorKey::new(&settings.cursor_key)
                    .map_err(|_| StartError::Key("RECOVERLY_CURSOR_KEY"))?,
                auditor: Auditor::new(foundation.db.clone()),
                erasures: erasure_key(settings)?,
                tokens,
                readiness,
                metrics,
            },
        )?;
        let (address, handle) = (server.address(), server.handle());
        tracing::info!(service = settings.name, %address, "serving");
        Ok(Self {
            foundation,
            handlers: definition.handlers,
            jobs,
            address,
            server: handle,
            serving: spawn(server.run()),
            stages: vec![intake, outlet],
        })
    }

    /// Where it serves.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://` and the address.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A consumer of its inbox, to be stepped.
    #[must_use]
    pub fn consumer(&self) -> Consumer {
        self.foundation.consumer((self.handlers)())
    }

    /// A relay of its outbox, to be stepped.
    #[must_use]
    pub fn relay(&self) -> Relay {
        self.foundation.relay()
    }

    /// One round of a job; how much it did. A job that the service does not have does nothing.
    ///
    /// # Errors
    /// The round's own.
    pub async fn round(&self, job: &str) -> Result<u64, JobError> {
        match self.jobs.iter().find(|known| known.name() == job) {
            Some(job) => job.round().await,
            None => Ok(0),
        }
    }

    /// Stops in order and waits until everything has ended.
    pub async fn stop(self) {
        self.server.stop().await;
        if let Err(error) = self.serving.await {
            tracing::error!(%error, "the server ended badly");
        }
        for stage in self.stages {
            stage.finish().await;
        }
    }
}

/// The key by which a service knows who was erased.
///
/// # Errors
/// None in practice.
pub fn erasure_key(settings: &Settings) -> Result<ErasureKey, StartError> {
    ErasureKey::new(&settings.erasure_key).map_err(|_| StartError::Key("RECOVERLY_ERASURE_KEY"))
}

fn with_postgres(readiness: Readiness, db: &Db, version_min: i64) -> Readiness {
    let (alive, migrated) = (db.clone(), db.clone());
    readiness
        .require("postgres", move || {
            let db = alive.clone();
            async move { db.worker_query("select 1 as alive", &[]).await.map(drop) }
        })
        .require("schema", move || {
            let db = migrated.clone();
            async move {
                match migrate::current_version(&db).await {
                    Ok(found) if found >= version_min => Ok(()),
                    Ok(found) => Err(format!("version {found} where {version_min} is needed")),
                    Err(error) => Err(error.to_string()),
                }
            }
        })
}

fn spawn<F: Future<Output: Send> + Send + 'static>(task: F) -> JoinHandle<F::Output> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place: every task here is joined by Service::stop"
    )]
    tokio::spawn(task)
}
