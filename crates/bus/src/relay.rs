//! Publishes the outbox: claims due rows, sends them, and marks those the broker has confirmed.
//!
//! Any number of relays may run. A row belongs to whoever claimed it, for ten seconds; a relay that dies in
//! between costs a delay and perhaps a repeat, never an event.

mod ledger;
mod publisher;

use std::time::{Duration, Instant};

use common::contracts::{Contract, UserErased};
use db::Db;
use tokio::sync::watch;

use crate::backoff::{Backoff, pause};
use crate::metrics::{Metrics, Published};
use crate::stop::Stop;
use crate::{Broker, Error, Health, Outbox};
use ledger::{Claim, Ledger, Refusal};
use publisher::{Outcome, Publisher};

/// How long an event waits at most when no hint comes.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// How long a hint gathers further commits, so that a burst of writes shares one claim.
const GATHER: Duration = Duration::from_millis(5);
/// How long a stopping service gives the relay to empty the outbox. The rest is published after the restart.
const DRAIN_DEADLINE: Duration = Duration::from_secs(5);
/// How often the lag is measured.
const LAG_INTERVAL: Duration = Duration::from_secs(5);
/// The pause of an event that was refused: doubling, from the first to the last.
const EVENT_PAUSE_BASE: Duration = Duration::from_millis(500);
const EVENT_PAUSE_MAX: Duration = Duration::from_secs(60);

/// What one round did, in events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Confirmed by the broker and marked.
    pub published: usize,
    /// Returned or refused; they are tried again later.
    pub backed_off: usize,
}

/// When an event counts as published. Without the negative control there is one answer.
#[cfg(feature = "negative-control")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MarkWhen {
    AfterConfirm,
    BeforePublish,
}

/// The relay of one service.
pub struct Relay {
    broker: Broker,
    ledger: Ledger,
    outbox: Outbox,
    metrics: Metrics,
    health: Health,
    publisher: Option<Publisher>,
    #[cfg(feature = "negative-control")]
    mark: MarkWhen,
}

impl Relay {
    /// A relay that connects when it first runs. `db` is the database of `broker.service()`.
    #[must_use]
    pub fn new(broker: Broker, db: Db, outbox: &Outbox) -> Self {
        Self {
            metrics: Metrics::new(broker.service()),
            ledger: Ledger::new(db),
            outbox: outbox.clone(),
            health: Health::default(),
            publisher: None,
            #[cfg(feature = "negative-control")]
            mark: MarkWhen::AfterConfirm,
            broker,
        }
    }

    /// A relay with the very fault that marking after the confirm prevents: it loses the events that were in
    /// flight when the connection broke. Tests run it to show that they would notice.
    #[cfg(feature = "negative-control")]
    #[must_use]
    pub fn marking_before_confirm_for_negative_control(broker: Broker, db: Db, outbox: &Outbox) -> Self {
        Self {
            mark: MarkWhen::BeforePublish,
            ..Self::new(broker, db, outbox)
        }
    }

    /// Whether the relay has the broker.
    #[must_use]
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// One round: claim, publish, mark. Connects first where need be, so that nothing is claimed in vain.
    ///
    /// # Errors
    /// When the broker or Postgres is away; what was claimed comes up again. The next call reconnects.
    pub async fn tick(&mut self) -> Result<Drained, Error> {
        let result = self.round().await;
        if result.as_ref().is_err_and(Error::ends_session) {
            self.publisher = None;
            self.health.set(false);
            self.metrics.session_lost();
        }
        result
    }

    /// Rounds until nothing is due.
    ///
    /// # Errors
    /// Those of [`Self::tick`], at the first.
    pub async fn drain(&mut self) -> Result<Drained, Error> {
        let mut total = Drained::default();
        loop {
            let drained = self.tick().await?;
            if drained == Drained::default() {
                return Ok(total);
            }
            total.published += drained.published;
            total.backed_off += drained.backed_off;
        }
    }

    /// Publishes until asked to stop, through every outage of the broker and of Postgres; then empties the
    /// outbox for at most five seconds and closes.
    pub async fn run(mut self, shutdown: watch::Receiver<bool>) {
        let stop = Stop::when(shutdown);
        let lag = measure_lag(self.ledger.clone(), self.metrics.clone(), stop.clone());
        futures::join!(self.publish(stop), lag);
    }

    async fn publish(&mut self, mut stop: Stop) {
        let mut backoff = Backoff::reconnecting();
        while !stop.requested() {
            let round = tokio::select! {
                // Only an opening is cut short: a round under way holds claims.
                () = stop.wait(), if self.publisher.is_none() => break,
                round = self.tick() => round,
            };
            match round {
                Ok(drained) => {
                    backoff.reset();
                    if drained == Drained::default() {
                        self.idle(&mut stop).await;
                    }
                }
                Err(error) => {
                    let pause = backoff.next_pause();
                    tracing::warn!(%error, ?pause, "events wait in the outbox");
                    stop.sleep(pause).await;
                }
            }
        }
        match tokio::time::timeout(DRAIN_DEADLINE, self.drain()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "stopped with events in the outbox"),
            Err(_) => tracing::warn!("stopped at the deadline with events in the outbox"),
        }
        if let Some(publisher) = self.publisher.take() {
            publisher.close().await;
        }
        self.health.set(false);
    }

    /// Waits for a hint or the next poll.
    async fn idle(&self, stop: &mut Stop) {
        tokio::select! {
            () = stop.wait() => {}
            () = tokio::time::sleep(POLL_INTERVAL) => {}
            () = self.outbox.woken() => tokio::time::sleep(GATHER).await,
        }
    }

    async fn round(&mut self) -> Result<Drained, Error> {
        let publisher = match &mut self.publisher {
            Some(publisher) => publisher,
            closed => {
                let opened = Publisher::open(&self.broker).await?;
                self.health.set(true);
                closed.insert(opened)
            }
        };
        publisher.ensure_usable()?;
        let claims = self.ledger.claim().await?;
        if claims.is_empty() {
            return Ok(Drained::default());
        }
        #[cfg(feature = "negative-control")]
        if self.mark == MarkWhen::BeforePublish {
            let ids: Vec<i64> = claims.iter().map(|claim| claim.id).collect();
            self.ledger.mark_published(&ids).await?;
        }
        let begun = Instant::now();
        let outcomes = publisher.publish(self.broker.service(), &claims).await;
        self.metrics.confirm_latency(begun.elapsed());
        self.settle(&claims, outcomes).await
    }

    /// Writes down what became of the claims.
    async fn settle(&self, claims: &[Claim], outcomes: Vec<Outcome>) -> Result<Drained, Error> {
        let mut confirmed = Vec::new();
        let mut farewells = Vec::new();
        let mut refused = Vec::new();
        let mut unknown = Vec::new();
        let mut broken = None;
        for (claim, outcome) in claims.iter().zip(outcomes) {
            match outcome {
                Outcome::Confirmed if claim.event_type == UserErased::TYPE => farewells.push(claim.id),
                Outcome::Confirmed => confirmed.push(claim.id),
                Outcome::Returned(reason) => {
                    self.metrics.published(Published::Returned, 1);
                    tracing::error!(event_id = %claim.event_id, event_type = claim.event_type, reason,
                        "returned by the broker: the topology is broken");
                    refused.push(refusal(claim, format!("returned: {reason}")));
                }
                Outcome::Refused => {
                    self.metrics.published(Published::Refused, 1);
                    refused.push(refusal(claim, "refused: a queue is full".to_owned()));
                }
                Outcome::Unknown(error) => {
                    unknown.push(claim.id);
                    broken.get_or_insert(error);
                }
            }
        }
        let published = confirmed.len() + farewells.len();
        self.metrics.published(Published::Confirmed, published);
        self.metrics.published(Published::Unknown, unknown.len());
        futures::try_join!(
            self.ledger.mark_published(&confirmed),
            self.ledger.forget(&farewells),
            self.ledger.back_off(&refused),
            self.ledger.release(&unknown),
        )?;
        if !refused.is_empty() {
            tracing::warn!(
                events = refused.len(),
                "not accepted by the broker; tried again later"
            );
        }
        match broken {
            Some(error) => Err(error),
            None => Ok(Drained {
                published,
                backed_off: refused.len(),
            }),
        }
    }
}

fn refusal(claim: &Claim, reason: String) -> Refusal {
    Refusal {
        id: claim.id,
        pause: pause(claim.attempts, EVENT_PAUSE_BASE, EVENT_PAUSE_MAX),
        reason,
    }
}

/// Keeps the lag current also while the broker is away, which is when it matters.
async fn measure_lag(ledger: Ledger, metrics: Metrics, mut stop: Stop) {
    while !stop.requested() {
        match ledger.lag().await {
            Ok(lag) => metrics.outbox_lag(lag.events, lag.oldest),
            Err(error) => tracing::debug!(%error, "the outbox lag could not be read"),
        }
        stop.sleep(LAG_INTERVAL).await;
    }
}
