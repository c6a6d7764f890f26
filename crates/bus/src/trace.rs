//! Joins the work on an event to the trace of the request that wrote it.

use common::Event;
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The most links of one span, which is also the most events of one batch.
const LINKS_MAX: usize = 100;

/// The span in which a handler works on a slice of events. It continues the trace of the first event and
/// links to those of the others, since a span has one parent only.
pub(crate) fn handling(event_type: &'static str, events: &[Event]) -> Span {
    let span = tracing::info_span!("event", event_type, events = events.len());
    let mut traceparents = events.iter().filter_map(|event| event.traceparent.as_deref());
    if let Some(first) = traceparents.next() {
        telemetry::set_parent(&span, first);
    }
    for context in traceparents.take(LINKS_MAX).filter_map(parse) {
        span.add_link(context);
    }
    span
}

/// Reads `00-<trace>-<span>-<flags>`, or nothing.
fn parse(traceparent: &str) -> Option<SpanContext> {
    let mut parts = traceparent.split('-');
    let (_version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let context = SpanContext::new(
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(span).ok()?,
        TraceFlags::new(u8::from_str_radix(flags, 16).ok()?),
        true,
        TraceState::NONE,
    );
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_read_and_a_broken_one_is_none() {
        let good = parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        assert!(good.is_some_and(|context| context.is_sampled() && context.is_remote()));
        for broken in [
            "",
            "00-zz-zz-01",
            "00-0-0-00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736",
        ] {
            assert!(parse(broken).is_none(), "{broken}");
        }
    }
}
