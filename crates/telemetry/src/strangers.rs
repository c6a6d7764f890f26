//! What a library logs as an error although somebody else made it.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Whose connection spoke no HTTP, or broke off, is told so or gone; anybody may fill a log with that.
const LIBRARY: &str = "actix_http::h1::dispatcher";
const MESSAGE: &str = "stream error: ";

/// Lets nothing of it into the log: an error there is one of ours.
pub(crate) struct WithoutStrangers;

impl<S: Subscriber> Layer<S> for WithoutStrangers {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        if *metadata.level() != Level::ERROR || metadata.target() != LIBRARY {
            return true;
        }
        let mut message = Message(false);
        event.record(&mut message);
        !message.0
    }
}

struct Message(bool);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0 |= field.name() == "message" && format!("{value:?}").starts_with(MESSAGE);
    }
}
