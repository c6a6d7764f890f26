//! The metrics of a process: one provider, read as Prometheus text and, where configured, sent over OTLP.

use opentelemetry::metrics::{Meter, MeterProvider as _};
use opentelemetry_otlp::{MetricExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Registry, TextEncoder};

use crate::{Error, signal};

/// Where instruments are made and read. Cloning is cheap and shares them.
#[derive(Debug, Clone)]
pub struct Metrics {
    provider: SdkMeterProvider,
    registry: Registry,
}

impl Metrics {
    /// Metrics that only this value knows, so that several applications can run in one test process.
    ///
    /// # Errors
    /// The reader cannot be built.
    pub fn isolated(service: &'static str) -> Result<Self, Error> {
        Self::new(Resource::builder().with_service_name(service).build(), None)
    }

    pub(crate) fn new(resource: Resource, otlp_endpoint: Option<&str>) -> Result<Self, Error> {
        let registry = Registry::new();
        let reader = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .build()?;
        let mut provider = SdkMeterProvider::builder()
            .with_resource(resource)
            .with_reader(reader);
        if let Some(endpoint) = otlp_endpoint {
            let endpoint = signal(endpoint, "metrics");
            provider = provider.with_periodic_exporter(
                MetricExporter::builder()
                    .with_http()
                    .with_endpoint(endpoint)
                    .build()?,
            );
        }
        Ok(Self {
            provider: provider.build(),
            registry,
        })
    }

    /// A maker of instruments; `scope` is the crate that records, such as `web`.
    pub fn meter(&self, scope: &'static str) -> Meter {
        self.provider.meter(scope)
    }

    /// All metrics in the Prometheus text format.
    pub fn render(&self) -> String {
        let mut text = String::new();
        if let Err(error) = TextEncoder::new().encode_utf8(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "metrics cannot be written as text");
        }
        text
    }

    pub(crate) fn provider(&self) -> &SdkMeterProvider {
        &self.provider
    }

    pub(crate) fn shutdown(&self) {
        if let Err(error) = self.provider.shutdown() {
            tracing::warn!(%error, "the last metrics were not sent");
        }
    }
}
