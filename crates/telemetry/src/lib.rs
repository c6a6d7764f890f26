//! Logs, traces and metrics: how a process sets them up, hands trace context on, and flushes them at its end.
//!
//! # What may never be recorded
//! Logs, span fields and metric labels hold ids, counts, durations, states and error codes. They never hold message
//! text, names, e-mail addresses, phone numbers, tokens, keys, request or response bodies, coordinates, or a value
//! that a client typed. A label of a metric has few values: never an id. A route is labelled by its pattern
//! (`/v1/users/{user_id}`), not by its path.
#![warn(missing_docs)]

mod metrics;
mod propagation;
mod settings;
mod strangers;
#[cfg(test)]
mod tests;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Subscriber;
use tracing_subscriber::filter::{EnvFilter, FilterFn, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

pub use metrics::Metrics;
pub use propagation::{carrying, current_traceparent, new_traceparent, set_parent};
pub use settings::{LogFormat, Settings};

use strangers::WithoutStrangers;

/// Libraries whose own spans would be exported by exporting, without end.
const UNTRACED: [&str; 5] = ["h2", "hyper", "reqwest", "tonic", "opentelemetry"];

/// Why telemetry could not be set up. Each is a fault of configuration or of start order.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log filter is not in the form of `info,social=debug`.
    #[error("the log filter cannot be read: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The OTLP endpoint cannot be used.
    #[error("the OTLP exporter cannot be built: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// The Prometheus reader cannot be built.
    #[error("the metrics reader cannot be built: {0}")]
    Metrics(#[from] opentelemetry_sdk::error::OTelSdkError),
    /// Another subscriber was installed in this process before.
    #[error("logging is already set up: {0}")]
    Installed(#[from] tracing_subscriber::util::TryInitError),
}

/// The running telemetry of a process. Keep it until the end and call [`Telemetry::shutdown`] last.
#[derive(Debug)]
pub struct Telemetry {
    metrics: Metrics,
    tracer: Option<SdkTracerProvider>,
}

/// Installs logging, the panic hook, trace propagation and metrics for this process.
///
/// Traces and OTLP metrics are sent over HTTP, and only where an endpoint is configured; the Prometheus text is
/// always there.
///
/// # Errors
/// See [`Error`].
pub fn init(settings: &Settings) -> Result<Telemetry, Error> {
    let resource = Resource::builder().with_service_name(settings.service).build();
    let metrics = Metrics::new(resource.clone(), settings.otlp_endpoint.as_deref())?;
    let tracer = settings
        .otlp_endpoint
        .as_deref()
        .map(|endpoint| tracer(endpoint, resource))
        .transpose()?;

    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    opentelemetry::global::set_meter_provider(metrics.provider().clone());

    let spans = tracer.as_ref().map(|provider| {
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer(settings.service))
            .with_filter(own_spans())
    });
    tracing_subscriber::registry()
        .with(EnvFilter::try_new(&settings.log_filter)?)
        .with(WithoutStrangers)
        .with(lines(settings.log_format))
        .with(spans)
        .try_init()?;
    log_panics();
    Ok(Telemetry { metrics, tracer })
}

impl Telemetry {
    /// The metrics of this process, for the HTTP server to render and to record into.
    pub fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    /// All metrics in the Prometheus text format.
    pub fn render_metrics(&self) -> String {
        self.metrics.render()
    }

    /// Sends what is still buffered and stops. It blocks for some seconds where the collector is away.
    pub fn shutdown(self) {
        if let Some(Err(error)) = self.tracer.map(|tracer| tracer.shutdown()) {
            tracing::warn!(%error, "the last traces were not sent");
        }
        self.metrics.shutdown();
    }
}

fn tracer(endpoint: &str, resource: Resource) -> Result<SdkTracerProvider, Error> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_endpoint(signal(endpoint, "traces"))
        .build()?;
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource)
        .build())
}

/// The address of one signal at a collector, such as `http://127.0.0.1:4318/v1/traces`.
fn signal(endpoint: &str, name: &str) -> String {
    format!("{}/v1/{name}", endpoint.trim_end_matches('/'))
}

fn own_spans() -> FilterFn {
    filter_fn(|metadata| {
        let krate = metadata.target().split("::").next().unwrap_or_default();
        !UNTRACED.iter().any(|name| krate.starts_with(name))
    })
}

fn lines<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    match format {
        LogFormat::Json => fmt::layer()
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .boxed(),
        LogFormat::Pretty => fmt::layer().with_writer(std::io::stderr).boxed(),
    }
}

/// Logs the place of a panic. Its message is left out, since it may quote the data that caused it.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, thread = std::thread::current().name(), "panicked");
    }));
}
