//! What operators watch of this service. Labels are kinds, never ids.

use opentelemetry::KeyValue;
use opentelemetry::metrics::Gauge;

use crate::domain::warning::Kind;

/// The instruments.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    warnings: Gauge<u64>,
}

impl Metrics {
    pub(crate) fn new(metrics: &telemetry::Metrics) -> Self {
        Self {
            warnings: metrics
                .meter("social")
                .u64_gauge("recoverly.operational.warnings")
                .with_description("Operational warnings that are open, by kind: 1 or 0")
                .build(),
        }
    }

    /// Shows of which kinds a warning is open.
    pub(crate) fn warnings(&self, open: &[String]) {
        for kind in Kind::ALL {
            let is_open = open.iter().any(|name| name == kind.as_str());
            self.warnings
                .record(u64::from(is_open), &[KeyValue::new("kind", kind.as_str())]);
        }
    }
}
