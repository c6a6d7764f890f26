//! From deliveries to acknowledgements: applied together, else alone, else again later, else given up.

use std::time::Duration;

use common::Event;
use lapin::message::Delivery;

use super::headers;
use super::session::{Arrived, Session};
use crate::applier::Applier;
use crate::backoff::{Backoff, pause};
use crate::dead::letters::{Letter, Letters};
use crate::stop::Stop;
use crate::topology::DELIVERY_LIMIT;
use crate::{Consumer, Error, HandleError};

/// The pause before a failed event is tried again: doubling, from the first to the last.
const RETRY_BASE: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(2);
/// How often a cut-off transaction is repeated before it is asked whether Postgres works for others.
const CUT_OFF_MAX: u32 = 3;

/// Works on what a session brings.
pub(crate) struct Worker<'a> {
    pub(crate) applier: &'a Applier,
    pub(crate) letters: &'a Letters,
    pub(crate) stop: &'a mut Stop,
}

/// A delivery that is an event.
struct Incoming {
    delivery: Delivery,
    event: Event,
    failures: i64,
}

/// What became of one transaction.
enum Attempt {
    Applied,
    Failed(HandleError),
}

impl Worker<'_> {
    /// # Errors
    /// When the session has ended, or [`Error::Stopped`]. What was not acknowledged comes again.
    pub(crate) async fn work(&mut self, session: &mut Session, arrived: Arrived) -> Result<(), Error> {
        match arrived {
            Arrived::Inbox(deliveries) => self.apply_inbox(session, deliveries).await,
            Arrived::Dead(deliveries) => {
                for delivery in deliveries {
                    self.bury_given_up(session, delivery).await?;
                }
                Ok(())
            }
            Arrived::RetryDue => session.return_due().await,
        }
    }

    async fn apply_inbox(&mut self, session: &mut Session, deliveries: Vec<Delivery>) -> Result<(), Error> {
        let mut together = Vec::new();
        // Events that came back before are tried alone, so that one of them cannot fail every batch it is in.
        let mut alone = Vec::new();
        for delivery in deliveries {
            let failures = headers::failures(&delivery);
            match Event::decode(&delivery.data) {
                Ok(event) => {
                    let incoming = Incoming {
                        delivery,
                        event,
                        failures,
                    };
                    if failures == 0 { &mut together } else { &mut alone }.push(incoming);
                }
                // Trying again would not make it readable.
                Err(error) => {
                    self.give_up(session, delivery, &error.to_string(), failures + 1)
                        .await?
                }
            }
        }
        let (deliveries, events): (Vec<_>, Vec<_>) = together
            .into_iter()
            .map(|incoming| (incoming.delivery, incoming.event))
            .unzip();
        match self.attempt(&events).await? {
            Attempt::Applied => session.ack(&deliveries).await?,
            Attempt::Failed(error) => {
                tracing::debug!(%error, events = events.len(), "batch undone; its events are tried alone");
                let fresh = deliveries.into_iter().zip(events);
                alone.extend(fresh.map(|(delivery, event)| Incoming {
                    delivery,
                    event,
                    failures: 0,
                }));
            }
        }
        for incoming in alone {
            self.apply_alone(session, incoming).await?;
        }
        Ok(())
    }

    async fn apply_alone(&mut self, session: &mut Session, incoming: Incoming) -> Result<(), Error> {
        let Incoming {
            delivery,
            event,
            failures,
        } = incoming;
        let Attempt::Failed(error) = self.attempt(std::slice::from_ref(&event)).await? else {
            return session.ack(&[delivery]).await;
        };
        self.applier.count_failure(&event);
        let attempts = failures + 1;
        if attempts >= Consumer::ATTEMPTS_MAX {
            return self
                .give_up(session, delivery, &error.to_string(), attempts)
                .await;
        }
        tracing::warn!(event_id = %event.id, event_type = event.event_type, attempts, %error, "event failed");
        let failures = u32::try_from(attempts).unwrap_or(u32::MAX);
        session.retry_after(delivery, pause(failures, RETRY_BASE, RETRY_MAX));
        Ok(())
    }

    /// Takes an event that the broker gave up. One that only ran into its delivery limit may be innocent: it
    /// was held by a process that somebody killed again and again. It is tried once more, alone; if that kills
    /// the process too, the delivery count tells, and it is not tried again.
    async fn bury_given_up(&mut self, session: &mut Session, delivery: Delivery) -> Result<(), Error> {
        let death = headers::death(&delivery).unwrap_or_else(|| "unknown".to_owned());
        let mut attempts = DELIVERY_LIMIT + 1;
        let mut reason = format!("given up by the broker: {death}");
        if death == "delivery_limit"
            && headers::failures(&delivery) == 0
            && let Ok(event) = Event::decode(&delivery.data)
        {
            match self.attempt(std::slice::from_ref(&event)).await? {
                Attempt::Applied => return session.ack(&[delivery]).await,
                Attempt::Failed(error) => reason = format!("{reason}; then: {error}"),
            }
            attempts += 1;
        }
        self.give_up(session, delivery, &reason, attempts).await
    }

    /// Writes the dead letter, then acknowledges. Never the other way round.
    async fn give_up(
        &mut self,
        session: &mut Session,
        delivery: Delivery,
        reason: &str,
        attempts: i64,
    ) -> Result<(), Error> {
        let letter = [Letter {
            body: &delivery.data,
            routing_key: delivery.routing_key.as_str(),
            reason: reason.to_owned(),
            attempts,
        }];
        let mut backoff = Backoff::reconnecting();
        while let Err(error) = self.letters.bury(&letter).await {
            if !error.is_retryable() {
                return Err(error.into());
            }
            self.wait_for_postgres(&mut backoff, &error).await?;
        }
        session.ack(&[delivery]).await
    }

    /// Applies events in one transaction, however long Postgres is away. Holding them meanwhile costs no
    /// delivery; sending them back would.
    async fn attempt(&mut self, events: &[Event]) -> Result<Attempt, Error> {
        let mut backoff = Backoff::reconnecting();
        let mut cut_off = 0;
        loop {
            let error = match self.applier.apply(events).await {
                Ok(_) => return Ok(Attempt::Applied),
                Err(error) => error,
            };
            cut_off += 1;
            // A statement that always times out looks like Postgres away. If Postgres answers others, it is
            // the events that are at fault.
            let at_fault = cut_off >= CUT_OFF_MAX && self.applier.postgres_answers().await;
            if !error.is_retryable() || at_fault {
                return Ok(Attempt::Failed(error));
            }
            self.wait_for_postgres(&mut backoff, &error).await?;
        }
    }

    async fn wait_for_postgres(
        &mut self,
        backoff: &mut Backoff,
        error: &(dyn std::error::Error + Sync),
    ) -> Result<(), Error> {
        if self.stop.requested() {
            return Err(Error::Stopped);
        }
        let pause = backoff.next_pause();
        tracing::warn!(%error, ?pause, "events wait for Postgres");
        self.stop.sleep(pause).await;
        Ok(())
    }
}
