//! W3C trace context across process borders: HTTP in, the outbox, the broker, the consumer.

use std::collections::HashMap;
use std::future::Future;

use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};
use tracing_opentelemetry::OpenTelemetrySpanExt;

const TRACEPARENT: &str = "traceparent";

tokio::task_local! {
    /// What the caller sent, so that the chain is not cut in a process that exports no traces itself.
    static RECEIVED: Option<String>;
}

/// The `traceparent` to hand on from here: that of the current span or, where this process traces nothing, the one
/// that was received (see [`carrying`]).
pub fn current_traceparent() -> Option<String> {
    let context = tracing::Span::current().context();
    let span = context.span().span_context().clone();
    if span.is_valid() {
        return Some(format!(
            "00-{}-{}-{:02x}",
            span.trace_id(),
            span.span_id(),
            span.trace_flags().to_u8()
        ));
    }
    RECEIVED.try_with(Clone::clone).ok().flatten()
}

/// The `traceparent` of a trace that begins here and that nobody samples: work that no request asked for.
pub fn new_traceparent() -> String {
    let ids = RandomIdGenerator::default();
    format!("00-{}-{}-00", ids.new_trace_id(), ids.new_span_id())
}

/// Makes `span` a child of the sender's. Call it before the span is entered. What is not a valid `traceparent` is
/// ignored: a broken header must not break a request.
pub fn set_parent(span: &tracing::Span, traceparent: &str) {
    let Some(remote) = parse(traceparent) else { return };
    if let Err(reason) = span.set_parent(Context::new().with_remote_span_context(remote)) {
        tracing::trace!(%reason, "the span takes no parent");
    }
}

/// Runs `work` while remembering the `traceparent` it came with; an invalid one is forgotten.
pub async fn carrying<F: Future>(traceparent: Option<&str>, work: F) -> F::Output {
    let valid = traceparent
        .filter(|text| parse(text).is_some())
        .map(str::to_owned);
    RECEIVED.scope(valid, work).await
}

fn parse(traceparent: &str) -> Option<SpanContext> {
    let headers = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &headers);
    let remote = context.span().span_context().clone();
    remote.is_valid().then_some(remote)
}
