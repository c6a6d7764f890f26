//! Exchanges and queues. Every service declares what it needs; declaring again changes nothing.
//!
//! ```text
//! recoverly.events (topic) ── <type> ──▶ <service>.inbox ── given up ──▶ recoverly.dead ──▶ <service>.dead
//!        └─ no queue wants it ─▶ recoverly.unrouted (fanout) ─▶ recoverly.unrouted (bounded)
//! ```
//!
//! A queue's arguments cannot change once it exists: the broker then refuses the declaration, and the service
//! stays without a session until an operator has moved the queue.
//!
//! A binding for a type that a service no longer handles is left in place; its events are acknowledged without
//! effect. Taking it away automatically would take events from the previous release during a rolling restart.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, ExchangeKind};

use crate::broker::in_time;
use crate::{Broker, Error};

/// Where every service publishes, by routing key = event type.
pub const EVENTS_EXCHANGE: &str = "recoverly.events";
/// Takes what no queue is bound to; the exchange and its queue.
pub const UNROUTED: &str = "recoverly.unrouted";
/// Takes what an inbox gave up, by routing key = service.
pub const DEAD_EXCHANGE: &str = "recoverly.dead";

/// How often the broker lets an event come back before it gives up on it. The consumer gives up earlier and
/// writes down why; this limit is for events that kill the process.
pub(crate) const DELIVERY_LIMIT: i64 = 5;
/// A full inbox refuses further events, and they wait in the publishers' outboxes.
const INBOX_EVENTS_MAX: i64 = 500_000;
/// A full dead-letter queue holds given-up events back in the inbox.
const DEAD_EVENTS_MAX: i64 = 100_000;
/// Unrouted events are kept for a look, oldest dropped first.
const UNROUTED_EVENTS_MAX: i64 = 10_000;
/// Events in the dead-letter queue may come back any number of times: they have nowhere else to go.
const NO_DELIVERY_LIMIT: i64 = -1;

/// The queue a service consumes.
#[must_use]
pub fn inbox_queue(service: &str) -> String {
    format!("{service}.inbox")
}

/// The queue of what the broker gave up delivering to a service.
#[must_use]
pub fn dead_queue(service: &str) -> String {
    format!("{service}.dead")
}

/// Declares everything the service needs to publish and to consume the given event types.
///
/// # Errors
/// When the broker is away, or something of the same name exists with other arguments.
pub async fn declare_for(broker: &Broker, event_types: &[&str]) -> Result<(), Error> {
    in_time(async {
        let connection = broker.connect("topology").await?;
        let channel = connection.create_channel().await?;
        declare_shared(&channel).await?;
        declare_inbox(&channel, broker.service(), event_types).await?;
        Ok(connection.close(200, "OK".into()).await?)
    })
    .await
}

/// Declares what a publisher needs.
pub(crate) async fn declare_shared(channel: &Channel) -> Result<(), Error> {
    // The alternate exchange takes events without a reader, so that a returned event means a broken topology.
    exchange(channel, UNROUTED, ExchangeKind::Fanout, FieldTable::default()).await?;
    queue(
        channel,
        UNROUTED,
        [
            ("x-max-length", AMQPValue::LongLongInt(UNROUTED_EVENTS_MAX)),
            ("x-overflow", text("drop-head")),
        ],
    )
    .await?;
    bind(channel, UNROUTED, UNROUTED, "").await?;
    let events = table([("alternate-exchange", text(UNROUTED))]);
    exchange(channel, EVENTS_EXCHANGE, ExchangeKind::Topic, events).await
}

/// Declares the queues of a service. The dead-letter queue comes first, so that the inbox never gives up an
/// event into nothing.
pub(crate) async fn declare_inbox(
    channel: &Channel,
    service: &str,
    event_types: &[&str],
) -> Result<(), Error> {
    let (inbox, dead) = (inbox_queue(service), dead_queue(service));
    exchange(
        channel,
        DEAD_EXCHANGE,
        ExchangeKind::Direct,
        FieldTable::default(),
    )
    .await?;
    queue(
        channel,
        &dead,
        [
            ("x-max-length", AMQPValue::LongLongInt(DEAD_EVENTS_MAX)),
            ("x-overflow", text("reject-publish")),
            ("x-delivery-limit", AMQPValue::LongLongInt(NO_DELIVERY_LIMIT)),
        ],
    )
    .await?;
    bind(channel, &dead, DEAD_EXCHANGE, service).await?;
    queue(
        channel,
        &inbox,
        [
            ("x-max-length", AMQPValue::LongLongInt(INBOX_EVENTS_MAX)),
            // At-least-once dead lettering works only with this overflow.
            ("x-overflow", text("reject-publish")),
            ("x-delivery-limit", AMQPValue::LongLongInt(DELIVERY_LIMIT)),
            ("x-dead-letter-strategy", text("at-least-once")),
            ("x-dead-letter-exchange", text(DEAD_EXCHANGE)),
            ("x-dead-letter-routing-key", text(service)),
        ],
    )
    .await?;
    for event_type in event_types {
        bind(channel, &inbox, EVENTS_EXCHANGE, event_type).await?;
    }
    Ok(())
}

async fn exchange(
    channel: &Channel,
    name: &str,
    kind: ExchangeKind,
    arguments: FieldTable,
) -> Result<(), Error> {
    let options = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    Ok(channel
        .exchange_declare(short(name), kind, options, arguments)
        .await?)
}

async fn queue<const N: usize>(
    channel: &Channel,
    name: &str,
    arguments: [(&str, AMQPValue); N],
) -> Result<(), Error> {
    let mut arguments = table(arguments);
    arguments.insert("x-queue-type".into(), text("quorum"));
    channel
        .queue_declare(short(name), QueueDeclareOptions::durable(), arguments)
        .await?;
    Ok(())
}

async fn bind(channel: &Channel, queue: &str, exchange: &str, key: &str) -> Result<(), Error> {
    Ok(channel
        .queue_bind(
            short(queue),
            short(exchange),
            short(key),
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await?)
}

/// The broker reads string arguments of quorum queues only as long strings.
fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

fn table<const N: usize>(arguments: [(&str, AMQPValue); N]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        table.insert(name.into(), value);
    }
    table
}

/// Names are at most 255 bytes on the wire. Ours are literals and `varchar(100)`; `From` would panic on more,
/// an empty name is refused by the broker instead.
pub(crate) fn short(name: &str) -> ShortString {
    ShortString::try_new(name).unwrap_or_default()
}
