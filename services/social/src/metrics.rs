//! What operators watch of this service. Labels are kinds, never ids.

use opentelemetry::KeyValue;
use opentelemetry::metrics::Gauge;

use crate::domain::warning::Kind;
use crate::store::operational_warnings::Open;

/// The instruments.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    warnings: Gauge<u64>,
    warnings_untold: Gauge<u64>,
}

impl Metrics {
    pub(crate) fn new(metrics: &telemetry::Metrics) -> Self {
        let meter = metrics.meter("social");
        Self {
            warnings: meter
                .u64_gauge("recoverly.operational.warnings")
                .with_description("Operational warnings that are open, by kind: 1 or 0")
                .build(),
            warnings_untold: meter
                .u64_gauge("recoverly.operational.warnings.untold")
                .with_description(
                    "Operational warnings that are open and reach nobody outside the app, by kind: 1 or 0",
                )
                .build(),
        }
    }

    /// Shows of which kinds a warning is open, and of which nobody can be told.
    pub(crate) fn warnings(&self, open: &[Open]) {
        for kind in Kind::ALL {
            let found = open.iter().find(|warning| warning.kind == kind.as_str());
            let label = [KeyValue::new("kind", kind.as_str())];
            self.warnings.record(u64::from(found.is_some()), &label);
            let is_untold = found.is_some_and(|warning| !warning.is_told);
            self.warnings_untold.record(u64::from(is_untold), &label);
        }
    }
}
