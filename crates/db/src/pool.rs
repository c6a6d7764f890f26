//! The two pools of a service and how transactions begin.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use deadpool_postgres::tokio_postgres::{self, Row};
use deadpool_postgres::{
    Manager, ManagerConfig, Object, Pool, QueueMode, RecyclingMethod, Runtime, Timeouts,
};
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
/// at every call, which costs as much as running them. A walk of a vector index goes on until a search has all that it
/// asked for, whatever a condition leaves out on the way; the search orders what it found itself.
const SESSION_OPTIONS: &str = "-c statement_timeout=15s -c lock_timeout=5s \
    -c idle_in_transaction_session_timeout=15s -c timezone=UTC -c jit=off -c plan_cache_mode=force_generic_plan \
    -c hnsw.iterative_scan=relaxed_order";

/// Where a service's database is and how many connections it may hold.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `postgres://role:password@host:port/database`; several hosts and `sslmode` as libpq takes them.
    pub url: SecretString,
    /// The schema the service owns, which is also its name.
    pub schema: &'static str,
    /// Connections for requests of people, shared out among the threads that serve them.
    pub people_connections_max: usize,
    /// Threads that serve requests.
    pub server_threads: usize,
    /// Connections for jobs, consumers, relay and pipelines.
    pub worker_connections_max: usize,
    /// What the service sets in its sessions besides, each as a parameter of Postgres and its number.
    pub session_parameters: Vec<(&'static str, i64)>,
}

/// A service's database. Cheap to clone; connects when first used.
#[derive(Clone)]
pub struct Db {
    schema: &'static str,
    people: Arc<[Pool]>,
    worker: Pool,
    session: tokio_postgres::Config,
}

/// The number of this thread, from 0, in the order in which threads first asked for a person's connection.
fn thread_number() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static NUMBER: usize = THREADS.fetch_add(1, Ordering::Relaxed));
    NUMBER.with(|number| *number)
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
        let own = settings.session_parameters.iter();
        let own: String = own.map(|(name, value)| format!(" -c {name}={value}")).collect();
        let options = format!("{SESSION_OPTIONS}{own}");
        session
            .application_name(format!("recoverly-{}", settings.schema))
            .connect_timeout(Duration::from_millis(CONNECT_TIMEOUT_MILLISECONDS))
            .tcp_user_timeout(Duration::from_millis(UNANSWERED_MILLISECONDS))
            .keepalives_idle(Duration::from_millis(UNANSWERED_MILLISECONDS))
            .options(&options);
        let worker_role = format!("recoverly_{}_worker", settings.schema);
        let mut worker_session = session.clone();
        worker_session.options(format!("{options} -c role={worker_role}"));
        Ok(Self {
            schema: settings.schema,
            people: people_pools(&session, settings)?,
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

    /// Runs one query as the actor, in a transaction and a message of its own.
    ///
    /// The condition around the query names none of its rows, so Postgres checks it once and before it reads any: the
    /// actor is set when the row policies ask for it. Were it checked later, the policies would find no actor and show
    /// no row.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when Postgres is away; those of the query.
    pub async fn read(&self, actor: &Actor, sql: &str, params: Params<'_>) -> Result<Vec<Row>, Error> {
        let actor_place = params.len() + 1;
        let guarded = format!(
            "select asked.* from ({sql}) as asked
             where (select set_config('recoverly.actor', ${actor_place}, true)) is not null"
        );
        let actor = actor.to_string();
        let mut all = params.to_vec();
        all.push(&actor);
        alone(
            Tx::new(self.people_connection().await?, self.schema),
            &guarded,
            &all,
        )
        .await
    }

    /// Calls a function that asks for no actor, as the service itself, in a transaction of its own.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when Postgres is away; those of the statement.
    pub async fn call(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, Error> {
        alone(Tx::new(self.people_connection().await?, self.schema), sql, params).await
    }

    /// Runs one statement as the worker, in a transaction of its own.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when Postgres is away; those of the statement.
    pub async fn worker_query(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, Error> {
        alone(Tx::new(self.worker_connection().await?, self.schema), sql, params).await
    }

    /// Listens on a channel with a connection of its own.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when Postgres is away.
    pub async fn listen(&self, channel: &str) -> Result<Listener, Error> {
        Listener::connect(&self.session, channel).await
    }

    async fn people_connection(&self) -> Result<Object, Error> {
        let mine = self
            .people
            .iter()
            .cycle()
            .nth(thread_number() % self.people.len());
        let pool = mine.ok_or_else(|| Error::Unavailable("no connections for people".to_owned()))?;
        Ok(pool.get().await?)
    }

    async fn worker_connection(&self) -> Result<Object, Error> {
        Ok(self.worker.get().await?)
    }
}

/// One statement is a transaction by itself.
async fn alone(tx: Tx, sql: &str, params: Params<'_>) -> Result<Vec<Row>, Error> {
    let rows = tx.query(sql, params).await?;
    tx.close();
    Ok(rows)
}

/// A connection is driven by the thread that opened it. Server threads therefore share people's connections out among
/// themselves: a request that had to wake another thread for every answer would pay as much for that as for the rest.
fn people_pools(session: &tokio_postgres::Config, settings: &Settings) -> Result<Arc<[Pool]>, Error> {
    let pools = settings
        .server_threads
        .clamp(1, settings.people_connections_max.max(1));
    (0..pools)
        .map(|number| {
            pool(
                session.clone(),
                (settings.people_connections_max + number) / pools,
            )
        })
        .collect()
}

fn pool(session: tokio_postgres::Config, connections_max: usize) -> Result<Pool, Error> {
    let recycling = ManagerConfig {
        recycling_method: RecyclingMethod::Fast,
    };
    let manager = Manager::from_config(session, tls::connector()?, recycling);
    Pool::builder(manager)
        .max_size(connections_max)
        // The session used last: its plans and catalogue are still in the processor's caches. In turn, each of eight
        // sessions would come back to cold ones.
        .queue_mode(QueueMode::Lifo)
        .runtime(Runtime::Tokio1)
        .timeouts(Timeouts {
            wait: Some(Duration::from_millis(POOL_WAIT_MILLISECONDS)),
            create: Some(Duration::from_millis(POOL_WAIT_MILLISECONDS)),
            recycle: Some(Duration::from_millis(POOL_WAIT_MILLISECONDS)),
        })
        .build()
        .map_err(|e| Error::Settings(e.to_string()))
}
