//! Migrations of one schema: `V001__name.sql` forward, `U001__name.sql` beside it to undo, refinery's history
//! table `<schema>.schema_history` with checksums, and one advisory lock for all five schemas.
//!
//! A file named `V…__name.notx.sql` runs alone and outside a transaction, as `create index concurrently` must; each of
//! its statements ends a line and is sent by itself, since Postgres makes a transaction of those that come together.

mod command;
mod files;

use deadpool_postgres::tokio_postgres::{Client, Config};
use refinery::{Migration, Runner, Target};
use secrecy::{ExposeSecret, SecretString};
use tokio::task::JoinHandle;

pub use command::{Command, run};
pub use files::{Files, Migrations};

use crate::{Db, Error, tls};

/// Schemas refer to each other, so two that migrate at once would race: the number is ours alone in the cluster.
const ADVISORY_LOCK: i64 = 0x5265_636f_7665_726c;
/// How long a migration waits for one that runs elsewhere before it gives up.
const LOCK_TIMEOUT: &str = "10min";

/// Where a statement of a file that runs outside a transaction ends.
const STATEMENT_END: &str = ";\n";

/// What a migration run did or found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The migration's number.
    pub version: i64,
    /// Its name without number and ending.
    pub name: String,
    /// When it was applied, RFC 3339; `None` while it is pending.
    pub applied_on: Option<String>,
}

/// A failure to migrate, in words for the operator who started it.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The way to Postgres.
    #[error(transparent)]
    Db(#[from] Error),
    /// A file that refinery refuses, or that differs from what was applied.
    #[error("{0}; an applied migration is never edited: add a new one")]
    Refinery(#[from] refinery::Error),
    /// A request that cannot be met.
    #[error("{0}")]
    Request(String),
    /// The migrations folder.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
}

impl From<deadpool_postgres::tokio_postgres::Error> for MigrateError {
    fn from(error: deadpool_postgres::tokio_postgres::Error) -> Self {
        Self::Db(error.into())
    }
}

/// A session of the owner role that holds the migration lock until it is dropped.
pub struct Session {
    client: Client,
    connection: JoinHandle<()>,
    schema: &'static str,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Session {
    /// Connects as the owner, waits for the migration lock and makes the schema if it is absent.
    ///
    /// # Errors
    /// When Postgres is away, or another migration holds the lock for too long.
    pub async fn open(url: &SecretString, schema: &'static str) -> Result<Self, MigrateError> {
        let mut config: Config = url
            .expose_secret()
            .parse()
            .map_err(|_| MigrateError::Request("the owner's database URL is not a Postgres URL".into()))?;
        config.application_name(format!("recoverly-migrate-{schema}"));
        let (client, connection) = config.connect(tls::connector()?).await?;
        #[expect(
            clippy::disallowed_methods,
            reason = "a connection lives as long as its session, which ends it"
        )]
        let connection = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::warn!(%error, "the migration's connection ended");
            }
        });
        let session = Self {
            client,
            connection,
            schema,
        };
        session
            .client
            .batch_execute(&format!(
                "set lock_timeout = '{LOCK_TIMEOUT}'; select pg_advisory_lock({ADVISORY_LOCK}); \
                 reset lock_timeout; create schema if not exists {schema}"
            ))
            .await?;
        Ok(session)
    }

    fn runner(&self, migrations: &[Migration], target: Target) -> Runner {
        let mut runner = Runner::new(migrations).set_target(target);
        runner.set_migration_table_name(format!("{}.schema_history", self.schema));
        runner
    }

    /// Applies what is pending, up to `to` where it is given; each file in its own transaction.
    ///
    /// # Errors
    /// When a statement fails (the files before it stay applied), or an applied file was changed since.
    pub async fn up(&mut self, migrations: &Migrations, to: Option<i64>) -> Result<Vec<Step>, MigrateError> {
        let pending: Vec<Step> = self
            .status(migrations)
            .await?
            .into_iter()
            .filter(|step| step.applied_on.is_none())
            .collect();
        let known = migrations.forward()?;
        let mut done = Vec::new();
        for step in pending
            .into_iter()
            .take_while(|step| to.is_none_or(|to| step.version <= to))
        {
            let target = i32::try_from(step.version)
                .map_err(|_| MigrateError::Request(format!("version {} is too large", step.version)))?;
            let target = match migrations.outside_transaction(step.version) {
                Some(sql) => {
                    for statement in sql.split_inclusive(STATEMENT_END) {
                        self.client.batch_execute(statement).await?;
                    }
                    Target::FakeVersion(target)
                }
                None => Target::Version(target),
            };
            self.runner(&known, target).run_async(&mut self.client).await?;
            tracing::info!(schema = self.schema, version = step.version, name = %step.name, "migrated");
            done.push(step);
        }
        Ok(done)
    }

    /// Undoes the newest `count` applied migrations, newest first, each with its undo file.
    ///
    /// # Errors
    /// When an undo file is absent (nothing from it on is undone), or a statement fails.
    pub async fn down(&mut self, migrations: &Migrations, count: usize) -> Result<Vec<Step>, MigrateError> {
        let applied: Vec<Step> = self
            .status(migrations)
            .await?
            .into_iter()
            .filter(|step| step.applied_on.is_some())
            .collect();
        let mut undone = Vec::new();
        for step in applied.into_iter().rev().take(count) {
            let sql = migrations.undo(step.version).ok_or_else(|| {
                MigrateError::Request(format!(
                    "V{:03} has no undo file U{:03}__….sql",
                    step.version, step.version
                ))
            })?;
            let version = step.version;
            let schema = self.schema;
            self.client
                .batch_execute(&format!(
                    "begin; {sql}; delete from {schema}.schema_history where version = {version}; commit"
                ))
                .await?;
            undone.push(step);
        }
        Ok(undone)
    }

    /// Every migration known here or applied there, oldest first.
    ///
    /// # Errors
    /// When Postgres is away, or the history cannot be read.
    pub async fn status(&mut self, migrations: &Migrations) -> Result<Vec<Step>, MigrateError> {
        let mut steps = self.history().await?;
        for migration in migrations.forward()? {
            let version = i64::from(migration.version());
            if !steps.iter().any(|step| step.version == version) {
                steps.push(Step {
                    version,
                    name: migration.name().to_owned(),
                    applied_on: None,
                });
            }
        }
        steps.sort_by_key(|step| step.version);
        Ok(steps)
    }

    /// What was applied, oldest first.
    ///
    /// # Errors
    /// When Postgres is away.
    pub async fn history(&mut self) -> Result<Vec<Step>, MigrateError> {
        let table = format!("{}.schema_history", self.schema);
        let exists = self
            .client
            .query_one("select to_regclass($1) is not null as found", &[&table])
            .await?;
        if !exists.try_get::<_, bool>("found")? {
            return Ok(Vec::new());
        }
        let rows = self
            .client
            .query(
                &format!("select version::int8, name, applied_on from {table} order by version"),
                &[],
            )
            .await?;
        let step = |row: &crate::Row| -> Result<Step, MigrateError> {
            Ok(Step {
                version: row.try_get("version")?,
                name: row.try_get("name")?,
                applied_on: row.try_get("applied_on")?,
            })
        };
        rows.iter().map(step).collect()
    }

    /// Records every migration up to `version` as applied without running it, for a schema made by other means.
    ///
    /// # Errors
    /// When Postgres is away, or the version is not known here.
    pub async fn stamp(&mut self, migrations: &Migrations, version: i64) -> Result<(), MigrateError> {
        let known = migrations.forward()?;
        let target = known
            .iter()
            .map(Migration::version)
            .find(|known| i64::from(*known) == version)
            .ok_or_else(|| MigrateError::Request(format!("there is no migration V{version:03}")))?;
        self.runner(&known, Target::FakeVersion(target))
            .run_async(&mut self.client)
            .await?;
        Ok(())
    }
}

/// The newest version applied to the service's schema; 0 where there is no history.
///
/// # Errors
/// When Postgres is away.
pub async fn current_version(db: &Db) -> Result<i64, Error> {
    let schema = db.schema();
    let found = db
        .worker_query(
            "select to_regclass($1) is not null as found",
            &[&format!("{schema}.schema_history")],
        )
        .await?;
    let Some(true) = found
        .first()
        .map(|row| row.try_get::<_, bool>("found"))
        .transpose()?
    else {
        return Ok(0);
    };
    let sql = format!("select coalesce(max(version), 0)::int8 as version from {schema}.schema_history");
    let rows = db.worker_query(&sql, &[]).await?;
    Ok(rows
        .first()
        .map(|row| row.try_get("version"))
        .transpose()?
        .unwrap_or(0))
}
