//! What operators watch. Labels are the service, event types and outcomes; never ids.

use std::time::Duration;

use opentelemetry::metrics::{Counter, Gauge, Histogram};
use opentelemetry::{KeyValue, global};

/// The instruments of one relay or consumer.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    service: KeyValue,
    outbox_events: Gauge<u64>,
    outbox_oldest_seconds: Gauge<f64>,
    published: Counter<u64>,
    confirm_seconds: Histogram<f64>,
    consumed: Counter<u64>,
    dead_letters: Counter<u64>,
    sessions_lost: Counter<u64>,
}

/// From a broker on the same machine to one that is nearly away.
const CONFIRM_BOUNDS_SECONDS: [f64; 10] = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 10.0];

/// How a published event came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Published {
    Confirmed,
    Returned,
    Refused,
    Unknown,
}

/// How a consumed event came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consumed {
    Applied,
    Repeated,
    Failed,
    Unhandled,
}

impl Metrics {
    /// Made after telemetry is set up: instruments made earlier would count into nothing.
    pub(crate) fn new(service: &'static str) -> Self {
        let meter = global::meter("recoverly.bus");
        Self {
            service: KeyValue::new("service", service),
            outbox_events: meter
                .u64_gauge("recoverly.outbox.events")
                .with_description("Events written and not yet confirmed by the broker")
                .build(),
            outbox_oldest_seconds: meter
                .f64_gauge("recoverly.outbox.oldest")
                .with_unit("s")
                .with_description("Age of the oldest event not yet confirmed by the broker")
                .build(),
            published: meter
                .u64_counter("recoverly.events.published")
                .with_description("Publishes by outcome: confirmed, returned, refused, unknown")
                .build(),
            confirm_seconds: meter
                .f64_histogram("recoverly.events.confirm")
                .with_unit("s")
                .with_description("From publishing a batch to its last confirm")
                .with_boundaries(CONFIRM_BOUNDS_SECONDS.to_vec())
                .build(),
            consumed: meter
                .u64_counter("recoverly.events.consumed")
                .with_description("Deliveries by type and outcome: applied, repeated, failed, unhandled")
                .build(),
            dead_letters: meter
                .u64_counter("recoverly.events.dead")
                .with_description("Events written to the table of dead letters")
                .build(),
            sessions_lost: meter
                .u64_counter("recoverly.broker.sessions_lost")
                .with_description("Sessions with the broker that ended by an error or could not begin")
                .build(),
        }
    }

    pub(crate) fn outbox_lag(&self, events: u64, oldest: Duration) {
        let labels = [self.service.clone()];
        self.outbox_events.record(events, &labels);
        self.outbox_oldest_seconds.record(oldest.as_secs_f64(), &labels);
    }

    pub(crate) fn published(&self, outcome: Published, events: usize) {
        let outcome = match outcome {
            Published::Confirmed => "confirmed",
            Published::Returned => "returned",
            Published::Refused => "refused",
            Published::Unknown => "unknown",
        };
        if events > 0 {
            let labels = [self.service.clone(), KeyValue::new("outcome", outcome)];
            self.published.add(events as u64, &labels);
        }
    }

    pub(crate) fn confirm_latency(&self, elapsed: Duration) {
        self.confirm_seconds
            .record(elapsed.as_secs_f64(), std::slice::from_ref(&self.service));
    }

    /// `event_type` must be one the program knows: labels from the wire would have no bound.
    pub(crate) fn consumed(&self, event_type: &'static str, outcome: Consumed, events: usize) {
        let outcome = match outcome {
            Consumed::Applied => "applied",
            Consumed::Repeated => "repeated",
            Consumed::Failed => "failed",
            Consumed::Unhandled => "unhandled",
        };
        if events > 0 {
            let labels = [
                self.service.clone(),
                KeyValue::new("type", event_type),
                KeyValue::new("outcome", outcome),
            ];
            self.consumed.add(events as u64, &labels);
        }
    }

    pub(crate) fn dead_letters(&self, events: usize) {
        self.dead_letters
            .add(events as u64, std::slice::from_ref(&self.service));
    }

    pub(crate) fn session_lost(&self) {
        self.sessions_lost.add(1, std::slice::from_ref(&self.service));
    }
}
