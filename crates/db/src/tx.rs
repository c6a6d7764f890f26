//! A transaction that owns its connection and knows whose rows it may see.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use deadpool_postgres::Object;
use deadpool_postgres::tokio_postgres::{self, Row, Statement, types::ToSql};
use futures::TryFutureExt;
use futures::future::{join_all, try_join_all};

use crate::{Actor, Error};

/// Statement parameters.
pub type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A statement parameter that waits for the commit, and so owns what it holds.
pub type OwnedParam = Box<dyn ToSql + Send + Sync>;

/// Statements that are sent together, at most.
const MAX_PIPELINED_STATEMENTS: usize = 16;

/// `true`: the setting ends with the transaction, so that no connection keeps an actor.
const SET_ACTOR: &str = "select set_config('recoverly.actor', $1, true)";

/// An open transaction. Its `&self` methods may be polled together and then share a round trip; where their order
/// matters, [`Tx::pipeline`] keeps it.
///
/// Dropped without [`Tx::commit`] or [`Tx::rollback`] it closes its connection, and Postgres rolls back: a
/// request that is cancelled half-way leaves nothing behind and no open transaction in the pool.
pub struct Tx {
    connection: Option<Object>,
    schema: &'static str,
    last: Mutex<Last>,
}

/// What waits for the commit.
#[derive(Default)]
struct Last {
    statements: Vec<(Cow<'static, str>, Vec<OwnedParam>)>,
    then: Vec<Box<dyn FnOnce() + Send>>,
}

impl Drop for Tx {
    fn drop(&mut self) {
        if let Some(open) = self.connection.take() {
            drop(Object::take(open));
        }
    }
}

impl Tx {
    /// A connection that is worked on. Until [`Tx::close`] it goes back to no pool: a request that is cancelled or fails
    /// half-way leaves no session busy with what nobody waits for.
    pub(crate) fn new(connection: Object, schema: &'static str) -> Self {
        Self {
            connection: Some(connection),
            schema,
            last: Mutex::default(),
        }
    }

    pub(crate) async fn begin(connection: Object, schema: &'static str) -> Result<Self, Error> {
        let tx = Self::new(connection, schema);
        tx.connection()?.batch_execute("begin").await?;
        Ok(tx)
    }

    pub(crate) async fn begin_as(
        connection: Object,
        schema: &'static str,
        actor: &Actor,
    ) -> Result<Self, Error> {
        let statements: [(&str, Params<'_>); 1] = [(SET_ACTOR, &[&actor.to_string()])];
        let (tx, _) = Self::begin_with(connection, schema, &statements).await?;
        Ok(tx)
    }

    pub(crate) async fn begin_with(
        connection: Object,
        schema: &'static str,
        statements: &[(&str, Params<'_>)],
    ) -> Result<(Self, Vec<Vec<Row>>), Error> {
        let prepared = prepare_all(&connection, statements).await?;
        let tx = Self::new(connection, schema);
        let client = tx.connection()?;
        let queries = prepared
            .iter()
            .zip(statements)
            .map(|(statement, (_, params))| client.query(statement, params));
        let (begun, results) = futures::join!(client.batch_execute("begin"), join_all(queries));
        begun?;
        let rows = told(client, results.into_iter().collect())?;
        Ok((tx, rows))
    }

    /// The schema of the service this transaction belongs to.
    #[must_use]
    pub fn schema(&self) -> &'static str {
        self.schema
    }

    /// Runs a query; the prepared statement is kept with the connection.
    ///
    /// # Errors
    /// What Postgres refused, by constraint where one did.
    pub async fn query(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, Error> {
        let client = self.connection()?;
        let statement = client.prepare_cached(sql).await?;
        told(client, client.query(&statement, params).await)
    }

    /// As [`Self::query`], for at most one row.
    ///
    /// # Errors
    /// As [`Self::query`]; [`Error::Row`] where there are several.
    pub async fn query_opt(&self, sql: &str, params: Params<'_>) -> Result<Option<Row>, Error> {
        let mut rows = self.query(sql, params).await?;
        if rows.len() > 1 {
            return Err(Error::Row(format!(
                "{} rows where at most one was expected",
                rows.len()
            )));
        }
        Ok(rows.pop())
    }

    /// As [`Self::query`], for exactly one row.
    ///
    /// # Errors
    /// As [`Self::query_opt`]; [`Error::Row`] where there is none.
    pub async fn query_one(&self, sql: &str, params: Params<'_>) -> Result<Row, Error> {
        self.query_opt(sql, params)
            .await?
            .ok_or_else(|| Error::Row("no row where one was expected".into()))
    }

    /// Runs a statement and returns how many rows it touched.
    ///
    /// # Errors
    /// As [`Self::query`].
    pub async fn execute(&self, sql: &str, params: Params<'_>) -> Result<u64, Error> {
        let client = self.connection()?;
        let statement = client.prepare_cached(sql).await?;
        told(client, client.execute(&statement, params).await)
    }

    /// Runs statements in this order and in one round trip; returns the rows of each.
    ///
    /// # Errors
    /// The first statement's that failed.
    pub async fn pipeline(&self, statements: &[(&str, Params<'_>)]) -> Result<Vec<Vec<Row>>, Error> {
        let client = self.connection()?;
        let prepared = prepare_all(client, statements).await?;
        let queries = prepared
            .iter()
            .zip(statements)
            .map(|(statement, (_, params))| client.query(statement, params));
        let results = join_all(queries).await.into_iter().collect();
        told(client, results)
    }

    /// Runs statements without parameters by the simple protocol.
    ///
    /// # Errors
    /// As [`Self::query`].
    pub async fn batch(&self, sql: &str) -> Result<(), Error> {
        Ok(self.connection()?.batch_execute(sql).await?)
    }

    /// Leaves a statement whose rows nobody needs to the commit: it is sent in the same round trip, after those that
    /// were left before it. Nothing in this transaction sees what it does, and what Postgres refuses, the commit tells.
    pub fn at_commit(&self, sql: impl Into<Cow<'static, str>>, params: Vec<OwnedParam>) {
        self.last().statements.push((sql.into(), params));
    }

    /// Runs `then` once the transaction is committed, and never if it is not.
    pub fn after_commit(&self, then: impl FnOnce() + Send + 'static) {
        self.last().then.push(Box::new(then));
    }

    /// Runs what was left to the commit and ends the transaction, keeping what it did. An [`Error::Unavailable`] leaves
    /// the outcome unknown.
    ///
    /// # Errors
    /// The first statement's that failed: nothing is then kept. When the connection is lost, or a deferred constraint
    /// refuses.
    pub async fn commit(self) -> Result<(), Error> {
        let Last { statements, then } = std::mem::take(&mut *self.last());
        let mut chunks = statements.chunks(MAX_PIPELINED_STATEMENTS).peekable();
        if chunks.peek().is_none() {
            self.connection()?.batch_execute("commit").await?;
        }
        while let Some(chunk) = chunks.next() {
            let params: Vec<Vec<&(dyn ToSql + Sync)>> = chunk
                .iter()
                .map(|(_, owned)| {
                    owned
                        .iter()
                        .map(|param| &**param as &(dyn ToSql + Sync))
                        .collect()
                })
                .collect();
            let borrowed: Vec<(&str, Params<'_>)> = chunk
                .iter()
                .zip(&params)
                .map(|((sql, _), params)| (&**sql, params.as_slice()))
                .collect();
            if chunks.peek().is_some() {
                self.pipeline(&borrowed).await?;
            } else {
                self.run_and_commit(&borrowed).await?;
            }
        }
        self.close();
        for then in then {
            then();
        }
        Ok(())
    }

    /// Should Postgres refuse a statement, the commit behind it is a rollback; should the driver refuse to send one, it is
    /// made one here.
    async fn run_and_commit(&self, statements: &[(&str, Params<'_>)]) -> Result<(), Error> {
        let client = self.connection()?;
        let prepared = prepare_all(client, statements).await?;
        let failed = AtomicBool::new(false);
        let queries = prepared.iter().zip(statements).map(|(statement, (_, params))| {
            let sent = client.execute(statement, params);
            sent.inspect_err(|_| failed.store(true, Ordering::Relaxed))
        });
        // Polled after the statements: what the driver refused has failed by then.
        let end = async {
            let end = if failed.load(Ordering::Relaxed) {
                "rollback"
            } else {
                "commit"
            };
            client.batch_execute(end).await
        };
        let (results, ended) = futures::join!(join_all(queries), end);
        told(client, results.into_iter().collect::<Result<Vec<_>, _>>())?;
        Ok(ended?)
    }

    /// Ends the transaction and undoes what it did.
    ///
    /// # Errors
    /// When the connection is lost; Postgres then rolls back by itself.
    pub async fn rollback(self) -> Result<(), Error> {
        self.connection()?.batch_execute("rollback").await?;
        self.close();
        Ok(())
    }

    /// A panic while it was held cannot leave it half-changed.
    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn connection(&self) -> Result<&Object, Error> {
        self.connection
            .as_ref()
            .ok_or_else(|| Error::Unavailable("the transaction has ended".to_owned()))
    }

    /// Gives the connection back to its pool: the transaction has ended.
    pub(crate) fn close(mut self) {
        drop(self.connection.take());
    }
}

/// What Postgres told of a statement. One that may succeed when run again may have met with a changed table: it is then
/// prepared anew.
fn told<T>(client: &Object, result: Result<T, tokio_postgres::Error>) -> Result<T, Error> {
    let result = result.map_err(Error::from);
    if matches!(result, Err(Error::Serialization)) {
        client.statement_cache.clear();
    }
    result
}

/// Prepares statements before any is sent, and waits for it: one that still had to be prepared would be sent
/// behind the statement that follows it, even behind the commit.
async fn prepare_all(client: &Object, statements: &[(&str, Params<'_>)]) -> Result<Vec<Statement>, Error> {
    // `join_all` keeps the order of sending only for a short list.
    if statements.len() > MAX_PIPELINED_STATEMENTS {
        return Err(Error::Settings(format!(
            "at most {MAX_PIPELINED_STATEMENTS} statements share a round trip"
        )));
    }
    Ok(try_join_all(statements.iter().map(|(sql, _)| client.prepare_cached(sql))).await?)
}
