//! What the broker notes on a delivery.

use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable};

/// How often the event was delivered before and came back: rejected, or held by a consumer that vanished.
pub(crate) fn failures(delivery: &Delivery) -> i64 {
    header(delivery, "x-delivery-count")
        .and_then(AMQPValue::as_long_long_int)
        .unwrap_or(0)
}

/// Why the broker gave the event up last, for example `delivery_limit`.
pub(crate) fn death(delivery: &Delivery) -> Option<String> {
    let deaths = header(delivery, "x-death")?.as_array()?;
    let last: &FieldTable = deaths.as_slice().first()?.as_field_table()?;
    Some(last.inner().get("reason")?.as_long_string()?.to_string())
}

fn header<'a>(delivery: &'a Delivery, name: &str) -> Option<&'a AMQPValue> {
    delivery.properties.headers().as_ref()?.inner().get(name)
}
