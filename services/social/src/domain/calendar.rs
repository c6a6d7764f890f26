//! A schedule as an iCalendar feed (RFC 5545).

use chrono::{DateTime, Utc};
use icalendar::{Calendar, Component, Event, EventLike, Property};
use sha2::{Digest, Sha256};

use crate::domain::rotation::Duty;

/// How often programs ask again, where they listen to this.
const REFRESH: &str = "PT15M";
/// Bytes of the person in the id of an event, which tells that person's apart from another's.
const PERSON_BYTES: usize = 8;

/// A duty and what the person is called, where they are called something.
pub(crate) struct Entry {
    pub(crate) duty: Duty,
    pub(crate) name: Option<String>,
}

/// The feed: an event for each duty, which says who, and nothing of anybody else.
pub(crate) fn feed(schedule_id: i64, name: &str, entries: &[Entry], now: DateTime<Utc>) -> String {
    let mut calendar = Calendar::new();
    calendar.name(name);
    calendar.append_property(
        Property::new("REFRESH-INTERVAL", REFRESH)
            .add_parameter("VALUE", "DURATION")
            .done(),
    );
    for entry in entries {
        let duty = &entry.duty;
        let event = Event::new()
            .uid(&uid(schedule_id, duty))
            .timestamp(now)
            .starts(duty.starts_at)
            .ends(duty.ends_at)
            .summary(entry.name.as_deref().unwrap_or("On call"))
            .done();
        calendar.push(event);
    }
    calendar.done().to_string()
}

/// The same for a duty at every reading.
fn uid(schedule_id: i64, duty: &Duty) -> String {
    let person = Sha256::digest(duty.staff_id.as_bytes());
    let person = person.get(..PERSON_BYTES).map(hex::encode).unwrap_or_default();
    format!("{schedule_id}-{}-{person}@recoverly", duty.starts_at.timestamp())
}
