//! Propagation and metrics without a collector.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use opentelemetry::KeyValue;
use opentelemetry_sdk::trace::SdkTracerProvider;

use super::*;

const RECEIVED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[tokio::test]
async fn a_process_that_traces_nothing_hands_on_what_it_received() {
    assert_eq!(
        carrying(Some(RECEIVED), async { current_traceparent() })
            .await
            .as_deref(),
        Some(RECEIVED)
    );
    assert_eq!(
        carrying(Some("00-nonsense"), async { current_traceparent() }).await,
        None
    );
    assert_eq!(current_traceparent(), None);
}

#[test]
fn a_span_joins_the_trace_it_was_given() {
    let provider = SdkTracerProvider::builder().build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        let span = tracing::info_span!("request");
        set_parent(&span, RECEIVED);
        let handed_on = span.in_scope(current_traceparent).unwrap();
        assert!(handed_on.starts_with(&format!("00-{TRACE_ID}-")), "{handed_on}");
        assert_ne!(handed_on, RECEIVED);
    });
}

#[test]
fn metrics_are_readable_as_prometheus_text() {
    let metrics = Metrics::isolated("test").unwrap();
    metrics
        .meter("web")
        .u64_counter("things")
        .build()
        .add(3, &[KeyValue::new("kind", "good")]);
    assert!(
        metrics
            .render()
            .contains("things_total{kind=\"good\",otel_scope_name=\"web\"} 3"),
        "{}",
        metrics.render()
    );
}

/// Counts what reaches the log.
#[derive(Clone, Default)]
struct Counted(Arc<AtomicUsize>);

impl<S: Subscriber> Layer<S> for Counted {
    fn on_event(&self, _: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn bytes_of_strangers_that_are_no_http_are_no_error_of_ours() {
    let logged = Counted::default();
    let subscriber = tracing_subscriber::registry()
        .with(WithoutStrangers)
        .with(logged.clone());
    tracing::subscriber::with_default(subscriber, || {
        tracing::error!(target: "actix_http::h1::dispatcher", "stream error: {}", "Invalid Method specified");
        assert_eq!(logged.0.load(Ordering::Relaxed), 0);
        tracing::error!(target: "actix_http::h1::dispatcher", "Internal server error: unexpected eof");
        tracing::error!("stream error: one of ours");
        assert_eq!(logged.0.load(Ordering::Relaxed), 2);
    });
}
