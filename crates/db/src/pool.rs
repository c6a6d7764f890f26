//! The two pools of a service and how transactions begin.

use std::time::Duration;

use deadpool_postgres::tokio_postgres::{self, Row};
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime, Timeouts};
use secrecy::{ExposeSecret, SecretString};

use crate::tx::{Params, Tx};
use crate::{Actor, Error, Listener, tls};

/// How long a request waits for a free connection before it answers 503.
const POOL_WAIT_MILLISECONDS: u64 = 1_500;
/// How long one connection attempt may take.
const CONNECT_TIMEOUT_MILLISECONDS: u64 = 1_000;
/// How long a Postgres behind a broken network may leave our bytes unacknowledged before the connection counts as lost.
const UNANSWERED_MILLISECONDS: u64 = 2_000;
/// What every session of ours is started with. Nothing waits or idles without a bound. Statements are planned once a
/// session: they reach their rows by index whatever the parameters, and Postgres would otherwise plan most of them anew
/// at every call, which costs as much as running them.
const SESSION_OPTIONS: &str = "-c statement_timeout=15s -c lock_timeout=5s \
    -c idle_in_transaction_session_timeout=15s -c timezone=UTC -c jit=off -c plan_cache_mode=force_generic_plan";

/// Where a service's database is and how many connections it may hold.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `postgres://role:password@host:port/database`; several hosts and `sslmode` as libpq takes them.
    pub url: SecretString,
    /// The schema the service owns, which is also its name.
    pub schema: &'static str,
    /// Connections for requests of people.
    pub people_connections_max: usize,
    /// Connections for jobs, consumers, relay and pipelines.
    pub worker_connections_max: usize,
}

/// A service's database. Cheap to clone; connects when first used.
#[derive(Clone)]
pub struct Db {
    schema: &'static str,
    people: Pool,
    worker: Pool,
    session: tokio_postgres::Config,
}

impl Db {
    /// Makes both pools without connecting, so that a service starts while Postgres is away.
    ///
    /// # Errors
    /// [`Error::Settings`] when the URL is none, or TLS roots cannot be read.
    pub fn new(settings: &Settings) -> Result<Self, Error> {
        let mut session: tokio_postgres::Config = settings
            .url
            .expose_secret()
            .parse()
            .map_err(|_| Error::Settings("the URL is not a Postgres URL".to_owned()))?;
        session
            .application_name(format!("recoverly-{}", settings.schema))
            .connect_timeout(Duration::from_millis(CONNECT_TIMEOUT_MILLISECONDS))
            .tcp_user_timeout(Duration::from_millis(UNANSWERED_MILLISECONDS))
            .keepalives_idle(Duration::from_millis(UNANSWERED_MILLISECONDS))
            .options(SESSION_OPTIONS);
        let worker_role = format!("recoverly_{}_worker", settings.schema);
        let mut worker_session = session.clone();
        worker_session.options(format!("{SESSION_OPTIONS} -c role={worker_role}"));
        Ok(Self {
            schema: settings.schema,
            people: pool(session.clone(), settings.people_connections_max)?,
            worker: pool(worker_session, settings.worker_connections_max)?,
            session,
        })
    }

    /// The schema the service owns.
    #[must_use]
    pub fn schema(&self) -> &'static str {
        self.schema
    }

    /// Begins a transaction that sees what the actor may see. One round trip.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when no connection could be had in time.
    pub async fn begin(&self, actor: &Actor) -> Result<Tx, Error> {
        Tx::begin_as(self.people_connection().await?, self.schema, actor).await
    }

    /// Begins a transaction of the worker role, which sees every row of the schema.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when no connection could be had in time.
    pub async fn begin_worker(&self) -> Result<Tx, Error> {
        Tx::begin(self.worker_connection().await?, self.schema).await
    }

    /// Begins as [`Self::begin_worker`] and runs the first statements in the same round trip; returns the rows
    /// of each.
    ///
    /// # Errors
    /// As [`Self::begin_worker`], and the first statement's that failed.
    pub async fn begin_worker_with(
        &self,
        statements: &[(&str, Params<'_>)],
    ) -> Result<(Tx, Vec<Vec<Row>>), Error> {
        Tx::begin_with(self.worker_connection().await?, self.schema, statements).await
    }

    /// Runs one query as the actor: begin, context, query and commit in one round trip.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when Postgres is away; those of the query.
    pub async fn read(&self, actor: &Actor, sql: &str, params: Params<'_>) -> Result<Vec<Row>, Error> {
        Tx::read(self.people_connection().await?, actor, sql, params).await
    }

    /// Runs one statement as the worker, in a transaction of its own.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when Postgres is away; those of the statement.
    pub async fn worker_query(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, Error> {
        let connection = self.worker_connection().await?;
        let statement = connection.prepare_cached(sql).await?;
        Ok(connection.query(&statement, params).await?)
    }

    /// Listens on a channel with a connection of its own.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when Postgres is away.
    pub async fn listen(&self, channel: &str) -> Result<Listener, Error> {
        Listener::connect(&self.session, channel).await
    }

    async fn people_connection(&self) -> Result<Object, Error> {
        Ok(self.people.get().await?)
    }

    async fn worker_connection(&self) -> Result<Object, Error> {
        Ok(self.worker.get().await?)
    }
}

fn pool(session: tokio_postgres::Config, connections_max: usize) -> Result<Pool, Error> {
    let recycling = ManagerConfig {
        recycling_method: RecyclingMethod::Fast,
    };
    let manager = Manager::from_config(session, tls::connector()?, recycling);
    Pool::builder(manager)
        .max_size(connections_max)
        .runtime(Runtime::Tokio1)
        .timeouts(Timeouts {
            wait: Some(Duration::from_millis(POOL_WAIT_MILLISECONDS)),
            create: Some(Duration::from_millis(POOL_WAIT_MILLISECONDS)),
            recycle: Some(Duration::from_millis(POOL_WAIT_MILLISECONDS)),
        })
        .build()
        .map_err(|e| Error::Settings(e.to_string()))
}
