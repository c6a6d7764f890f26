//! iCalendar feeds (RFC 5545).

use chrono::{DateTime, Utc};
use icalendar::{Calendar, Component, Event, EventLike, EventStatus, Property};
use sha2::{Digest, Sha256};

use crate::domain::meeting::Slot;
use crate::domain::rotation::Duty;

/// How often programs ask again, where they listen to this.
const REFRESH: &str = "PT15M";
/// Bytes of the person in the id of an event, which tells that person's apart from another's.
const PERSON_BYTES: usize = 8;

/// What a calendar shows at a time.
pub(crate) struct Entry {
    /// The same at every reading.
    uid: String,
    starts_at: DateTime<Utc>,
    ends_at: DateTime<Utc>,
    summary: String,
    status: EventStatus,
}

impl Entry {
    /// A duty and what the person is called, where they are called something; nothing of anybody else.
    pub(crate) fn of_duty(schedule_id: i64, duty: &Duty, name: Option<String>) -> Self {
        let person = Sha256::digest(duty.staff_id.as_bytes());
        let person = person.get(..PERSON_BYTES).map(hex::encode).unwrap_or_default();
        Self {
            uid: format!("{schedule_id}-{}-{person}@recoverly", duty.starts_at.timestamp()),
            starts_at: duty.starts_at,
            ends_at: duty.ends_at,
            summary: name.unwrap_or_else(|| "On call".to_owned()),
            status: EventStatus::Confirmed,
        }
    }

    /// A meeting, and not with whom: calendars are kept by others, who need not know who is a client.
    pub(crate) fn of_meeting(meeting_id: i64, slot: Slot, is_confirmed: bool) -> Self {
        Self {
            uid: format!("meeting-{meeting_id}@recoverly"),
            starts_at: slot.starts_at,
            ends_at: slot.ends_at(),
            summary: "Meeting".to_owned(),
            status: if is_confirmed {
                EventStatus::Confirmed
            } else {
                EventStatus::Tentative
            },
        }
    }
}

/// The feed: an event for each entry.
pub(crate) fn feed(name: &str, entries: Vec<Entry>, now: DateTime<Utc>) -> String {
    let mut calendar = Calendar::new();
    calendar.name(name);
    calendar.append_property(
        Property::new("REFRESH-INTERVAL", REFRESH)
            .add_parameter("VALUE", "DURATION")
            .done(),
    );
    for entry in entries {
        let event = Event::new()
            .uid(&entry.uid)
            .timestamp(now)
            .starts(entry.starts_at)
            .ends(entry.ends_at)
            .summary(&entry.summary)
            .status(entry.status)
            .done();
        calendar.push(event);
    }
    calendar.done().to_string()
}
