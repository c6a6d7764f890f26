//! Applies events once: inbox rows and effects in one transaction.

use std::collections::HashSet;

use common::Event;
use db::{Db, Row, Tx};
use tracing::Instrument as _;
use uuid::Uuid;

use crate::metrics::{Consumed, Metrics};
use crate::{HandleError, Handlers, trace};

/// Handlers with the database they work on. Knows nothing of the broker.
pub(crate) struct Applier {
    pub(crate) db: Db,
    pub(crate) metrics: Metrics,
    consumer: &'static str,
    handlers: Handlers,
    insert_inbox: String,
}

/// What a transaction did with the events of one type.
struct Tally {
    event_type: &'static str,
    applied: usize,
    repeated: usize,
}

impl Applier {
    pub(crate) fn new(consumer: &'static str, db: Db, handlers: Handlers) -> Self {
        // In the order of ids: two consumers that insert the same rows in different orders would deadlock.
        let insert_inbox = format!(
            "insert into {}.inbox (consumer, event_id)
             select $1, e.event_id from unnest($2::uuid[]) as e(event_id) order by e.event_id
             on conflict (consumer, event_id) do nothing
             returning event_id",
            db.schema()
        );
        Self {
            metrics: Metrics::new(consumer),
            consumer,
            db,
            handlers,
            insert_inbox,
        }
    }

    pub(crate) fn consumer(&self) -> &'static str {
        self.consumer
    }

    pub(crate) fn types(&self) -> Vec<&'static str> {
        self.handlers.types()
    }

    /// Applies all events or none; returns how many were new.
    pub(crate) async fn apply(&self, events: &[Event]) -> Result<usize, HandleError> {
        let ids = self.handled_ids(events);
        if ids.is_empty() {
            return Ok(0);
        }
        let (tx, rows) = self
            .db
            .begin_worker_with(&[(&self.insert_inbox, &[&self.consumer, &ids])])
            .await?;
        let applied = async { self.dispatch(&tx, events, &new_ids(rows.iter().flatten())?).await }.await;
        match applied {
            Ok(tallies) => {
                tx.commit().await?;
                Ok(self.count(&tallies))
            }
            Err(error) => {
                // Dropping it would undo as much, at the price of the connection.
                drop(tx.rollback().await);
                Err(error)
            }
        }
    }

    /// Applies one event in a transaction that the caller commits.
    pub(crate) async fn apply_in(&self, tx: &Tx, event: &Event) -> Result<(), HandleError> {
        if !self.handlers.handles(&event.event_type) {
            return Err(HandleError::other(format!(
                "{} has no handler here",
                event.event_type
            )));
        }
        let ids = [event.id];
        let rows = tx
            .query(&self.insert_inbox, &[&self.consumer, &ids.as_slice()])
            .await?;
        self.dispatch(tx, std::slice::from_ref(event), &new_ids(&rows)?)
            .await?;
        Ok(())
    }

    /// Whether Postgres works at all, when a statement was cut off and could be at fault itself.
    pub(crate) async fn postgres_answers(&self) -> bool {
        self.db.worker_query("select 1", &[]).await.is_ok()
    }

    /// Counts a failure under the type, if it is one of ours.
    pub(crate) fn count_failure(&self, event: &Event) {
        for (event_type, _) in self.handlers.iter() {
            if event.event_type == event_type {
                self.metrics.consumed(event_type, Consumed::Failed, 1);
            }
        }
    }

    fn handled_ids(&self, events: &[Event]) -> Vec<Uuid> {
        let mut unhandled = 0;
        let mut ids = Vec::with_capacity(events.len());
        for event in events {
            if self.handlers.handles(&event.event_type) {
                ids.push(event.id);
            } else {
                tracing::debug!(event_id = %event.id, event_type = event.event_type, "no handler; dropped");
                unhandled += 1;
            }
        }
        self.metrics.consumed("other", Consumed::Unhandled, unhandled);
        ids
    }

    /// Hands each type's new events to its handler. An event that came twice in the batch is taken once.
    async fn dispatch(
        &self,
        tx: &Tx,
        events: &[Event],
        new: &HashSet<Uuid>,
    ) -> Result<Vec<Tally>, HandleError> {
        let mut tallies = Vec::new();
        let mut taken = HashSet::with_capacity(new.len());
        for (event_type, handler) in self.handlers.iter() {
            let of_type = events.iter().filter(|event| event.event_type == event_type);
            let arrived = of_type.clone().count();
            let slice: Vec<Event> = of_type
                .filter(|event| new.contains(&event.id) && taken.insert(event.id))
                .cloned()
                .collect();
            if !slice.is_empty() {
                let span = trace::handling(event_type, &slice);
                handler.apply(tx, &slice).instrument(span).await?;
            }
            tallies.push(Tally {
                event_type,
                applied: slice.len(),
                repeated: arrived.saturating_sub(slice.len()),
            });
        }
        Ok(tallies)
    }

    /// Counts what was committed; returns how many events were new.
    fn count(&self, tallies: &[Tally]) -> usize {
        for tally in tallies {
            self.metrics
                .consumed(tally.event_type, Consumed::Applied, tally.applied);
            self.metrics
                .consumed(tally.event_type, Consumed::Repeated, tally.repeated);
        }
        tallies.iter().map(|tally| tally.applied).sum()
    }
}

fn new_ids<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Result<HashSet<Uuid>, db::Error> {
    rows.into_iter().map(|row| Ok(row.try_get("event_id")?)).collect()
}
