//! Consumes a service's inbox: decodes, applies in batches, acknowledges after the commit.
//!
//! What goes wrong is told apart by whose fault it is:
//!
//! - **The broker is away**: the session ends and a new one is made. Unacknowledged events come again, and the
//!   inbox table drops those that were applied.
//! - **Postgres is away**: the consumer keeps what it holds and waits. Nothing is sent back, since every return
//!   would count as a failed delivery of an innocent event.
//! - **The event is at fault**: its batch is undone and its events are applied one by one, so that the
//!   neighbours pass; the event itself comes back a few times, and then is a dead letter.

mod batch;
mod headers;
mod session;

use std::time::Duration;

use common::Event;
use db::Db;
use tokio::sync::watch;

use crate::applier::Applier;
use crate::backoff::Backoff;
use crate::dead::letters::Letters;
use crate::dead::redrive::{Redriven, Redriver};
use crate::stop::Stop;
use crate::{Broker, Error, HandleError, Handlers, Health};
use batch::Worker;
use session::Session;

/// How often the table is asked for dead letters to redrive.
const REDRIVE_INTERVAL: Duration = Duration::from_secs(1);
/// How long a stopping service goes on applying what it has received. The rest goes back to the broker.
const FINISH_DEADLINE: Duration = Duration::from_secs(5);

/// The consumer of one service.
pub struct Consumer {
    broker: Broker,
    applier: Applier,
    letters: Letters,
    redriver: Redriver,
    health: Health,
    session: Option<Session>,
}

impl Consumer {
    /// The most events that are applied in one transaction.
    pub const BATCH_EVENTS_MAX: usize = 100;
    /// How often an event is tried before it is a dead letter.
    pub const ATTEMPTS_MAX: i64 = 5;

    /// A consumer that connects when it first runs. `db` is the database of `broker.service()`.
    #[must_use]
    pub fn new(broker: Broker, db: Db, handlers: Handlers) -> Self {
        let redriver = Redriver::new(db.schema());
        let applier = Applier::new(broker.service(), db.clone(), handlers);
        Self {
            letters: Letters::new(broker.service(), db, applier.metrics.clone()),
            broker,
            applier,
            redriver,
            health: Health::default(),
            session: None,
        }
    }

    /// Whether the consumer has the broker.
    #[must_use]
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Applies events as one batch, without a broker; returns how many were new.
    ///
    /// # Errors
    /// The first handler's; nothing is then kept.
    pub async fn apply_events(&self, events: &[Event]) -> Result<usize, HandleError> {
        self.applier.apply(events).await
    }

    /// Applies the dead letters that operators asked for, without a broker.
    ///
    /// # Errors
    /// When Postgres is away; the requests stay.
    pub async fn redrive_tick(&self) -> Result<Redriven, db::Error> {
        self.redriver.tick(&self.applier).await
    }

    /// Consumes until both queues are empty and no event waits for another try. Waits while Postgres is away.
    ///
    /// # Errors
    /// When the session ends; the next call makes another.
    pub async fn drain(&mut self) -> Result<(), Error> {
        let mut session = match self.session.take() {
            Some(session) => session,
            None => Session::open(&self.broker, &self.applier.types()).await?,
        };
        let mut stop = Stop::never();
        while let Some(arrived) = session.next_unless_drained().await? {
            self.worker(&mut stop).work(&mut session, arrived).await?;
        }
        self.session = Some(session);
        Ok(())
    }

    /// Consumes until asked to stop, through every outage of the broker and of Postgres.
    ///
    /// Stopping cancels the subscription, applies what has already arrived for at most
    /// five seconds, and closes. Whatever was not applied is not acknowledged.
    pub async fn run(self, shutdown: watch::Receiver<bool>) {
        let stop = Stop::when(shutdown);
        futures::join!(self.consume(stop.clone()), self.redrive(stop));
    }

    async fn consume(&self, mut stop: Stop) {
        let mut backoff = Backoff::reconnecting();
        while !stop.requested() {
            let Err(error) = self.hold_session(&mut stop, &mut backoff).await else {
                break;
            };
            self.health.set(false);
            self.applier.metrics.session_lost();
            let pause = backoff.next_pause();
            tracing::warn!(%error, ?pause, "events wait at the broker");
            stop.sleep(pause).await;
        }
        self.health.set(false);
    }

    /// One session from opening to the stop, or to its first error.
    async fn hold_session(&self, stop: &mut Stop, backoff: &mut Backoff) -> Result<(), Error> {
        let types = self.applier.types();
        let mut session = tokio::select! {
            () = stop.wait() => return Ok(()),
            session = Session::open(&self.broker, &types) => session?,
        };
        self.health.set(true);
        backoff.reset();
        loop {
            let arrived = tokio::select! {
                () = stop.wait() => break,
                arrived = session.next() => arrived?,
            };
            match self.worker(stop).work(&mut session, arrived).await {
                Ok(()) => {}
                Err(Error::Stopped) => break,
                Err(error) => return Err(error),
            }
        }
        // Errors of a closing session are of no interest: all that matters was acknowledged before.
        drop(tokio::time::timeout(FINISH_DEADLINE, self.finish(session, stop)).await);
        Ok(())
    }

    async fn finish(&self, mut session: Session, stop: &mut Stop) -> Result<(), Error> {
        session.cancel().await?;
        while let Some(arrived) = session.received().await? {
            self.worker(stop).work(&mut session, arrived).await?;
        }
        session.close().await
    }

    async fn redrive(&self, mut stop: Stop) {
        while !stop.requested() {
            if let Err(error) = self.redrive_tick().await {
                tracing::debug!(%error, "dead letters wait for Postgres");
            }
            stop.sleep(REDRIVE_INTERVAL).await;
        }
    }

    fn worker<'a>(&'a self, stop: &'a mut Stop) -> Worker<'a> {
        Worker {
            applier: &self.applier,
            letters: &self.letters,
            stop,
        }
    }
}
