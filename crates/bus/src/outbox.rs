//! Writing events: rows of the service's `outbox`, in the transaction of the state they tell of.

use std::borrow::Cow;
use std::sync::Arc;

use common::contracts::Contract;
use db::Tx;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::Notify;
use uuid::Uuid;

/// A past fact about to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEvent {
    /// The routing key, for example `social.profile.changed`; at most 100 characters.
    pub event_type: Cow<'static, str>,
    /// The user it is about, where there is one; at most 255 characters.
    pub subject: Option<String>,
    /// Ids, labels and scores; never text, names, contact data or coordinates.
    pub data: Value,
    /// The W3C trace context of the request that caused it, where that is not the caller's own: work that is
    /// gathered from several requests is none of them.
    pub traceparent: Option<String>,
}

/// The data of an event has no JSON form, such as a map whose keys are no strings. A fault of the program.
#[derive(Debug, thiserror::Error)]
#[error("the data of {event_type} has no JSON form: {source}")]
pub struct EncodeError {
    event_type: Cow<'static, str>,
    source: serde_json::Error,
}

impl NewEvent {
    /// An event of any type. Prefer [`Self::of`], where type and data cannot disagree.
    ///
    /// # Errors
    /// When `data` has no JSON form.
    pub fn new(
        event_type: impl Into<Cow<'static, str>>,
        subject: Option<String>,
        data: &impl Serialize,
    ) -> Result<Self, EncodeError> {
        let event_type = event_type.into();
        match serde_json::to_value(data) {
            Ok(data) => Ok(Self {
                event_type,
                subject,
                data,
                traceparent: None,
            }),
            Err(source) => Err(EncodeError { event_type, source }),
        }
    }

    /// An event by its contract.
    ///
    /// # Errors
    /// When `data` has no JSON form.
    pub fn of<C: Contract>(subject: Option<String>, data: &C) -> Result<Self, EncodeError> {
        Self::new(C::TYPE, subject, data)
    }

    /// The same event, caused by the request of this trace context.
    #[must_use]
    pub fn caused_by(self, traceparent: Option<String>) -> Self {
        Self { traceparent, ..self }
    }
}

/// Events side by side, as the insert takes them.
#[derive(Default)]
struct Columns {
    ids: Vec<Uuid>,
    types: Vec<Cow<'static, str>>,
    subjects: Vec<Option<String>>,
    data: Vec<Value>,
    traceparents: Vec<String>,
}

/// The outbox of one service. Cheap to clone; all clones wake the same relay.
#[derive(Clone, Debug)]
pub struct Outbox {
    insert: Arc<str>,
    wake: Arc<Notify>,
}

impl Outbox {
    /// The outbox of the service that owns the schema.
    #[must_use]
    pub fn new(schema: &str) -> Self {
        let insert = format!(
            "insert into {schema}.outbox (event_id, event_type, subject, data, traceparent)
             select e.event_id, e.event_type, e.subject, e.data, e.traceparent
             from unnest($1::uuid[], $2::text[], $3::text[], $4::jsonb[], $5::text[])
                  with ordinality as e(event_id, event_type, subject, data, traceparent, place)
             order by e.place"
        );
        Self {
            insert: insert.into(),
            wake: Arc::default(),
        }
    }

    /// Adds events to the transaction, in their order, by one statement that is sent with the commit; none for an empty
    /// slice. The trace context of the caller travels with them. Once they are committed, the relay of this process is
    /// woken.
    pub fn enqueue(&self, tx: &Tx, events: Vec<NewEvent>) {
        if events.is_empty() {
            return;
        }
        // Every event belongs to a trace; one that nobody began begins here.
        let current = telemetry::current_traceparent().unwrap_or_else(telemetry::new_traceparent);
        let mut columns = Columns::default();
        for event in events {
            columns.ids.push(Uuid::now_v7());
            columns.types.push(event.event_type);
            columns.subjects.push(event.subject);
            columns.data.push(event.data);
            columns
                .traceparents
                .push(event.traceparent.unwrap_or_else(|| current.clone()));
        }
        tx.at_commit(
            self.insert.to_string(),
            vec![
                Box::new(columns.ids),
                Box::new(columns.types),
                Box::new(columns.subjects),
                Box::new(columns.data),
                Box::new(columns.traceparents),
            ],
        );
        let outbox = self.clone();
        tx.after_commit(move || outbox.wake());
    }

    /// Hints to the relay of this process that events were committed.
    ///
    /// The hint stays in the process on purpose. `NOTIFY` in each write would have Postgres commit all of them
    /// one after the other, under a lock of the whole database, to keep the notifications in order. A hint
    /// that is lost costs one poll interval.
    fn wake(&self) {
        self.wake.notify_one();
    }

    /// Resolves after the next [`Self::wake`], or at once if there was one since the last call.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }
}
