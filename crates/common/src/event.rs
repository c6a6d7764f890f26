//! The envelope of every event: CloudEvents 1.0 in structured JSON mode.

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The largest envelope that is decoded, in bytes. Ours are under 4 KiB.
pub const MAX_EVENT_BYTES: usize = 256 * 1024;

const SPEC_VERSION: &str = "1.0";
const DATA_CONTENT_TYPE: &str = "application/json";

/// One event as it travels: CloudEvents 1.0 attributes, the extensions `sequence` and `traceparent`, and `data`.
///
/// Unknown attributes are ignored, so that a newer publisher never breaks an older consumer.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// UUID version 7; the consumer's inbox deduplicates on it.
    pub id: Uuid,
    /// `/recoverly/<service>`.
    pub source: String,
    /// The routing key, for example `social.prediction.recorded`; `type` on the wire.
    pub event_type: String,
    /// The user the event is about, where there is one.
    pub subject: Option<String>,
    /// When the fact was written, UTC.
    pub time: DateTime<Utc>,
    /// Where the schema of `data` is described.
    pub dataschema: Option<String>,
    /// The outbox id in decimal: orders the events of one service roughly, never exactly.
    pub sequence: Option<String>,
    /// W3C trace context of the request that wrote the event.
    pub traceparent: Option<String>,
    /// Ids, labels and scores; never text, names, contact data or coordinates.
    pub data: serde_json::Value,
}

/// Why an envelope or its data could not be read. Never holds the data itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError(String);

impl std::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "not an event: {}", self.0)
    }
}

impl std::error::Error for DecodeError {}

/// The envelope as JSON holds it; [`Event`] is what the code works with.
#[derive(Serialize, Deserialize)]
struct Wire {
    specversion: String,
    id: Uuid,
    source: String,
    #[serde(rename = "type")]
    event_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    time: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dataschema: Option<String>,
    #[serde(default = "json_content_type")]
    datacontenttype: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<String>,
    data: serde_json::Value,
}

fn json_content_type() -> String {
    DATA_CONTENT_TYPE.to_owned()
}

impl Event {
    /// Reads a structured-mode envelope.
    ///
    /// # Errors
    /// When the bytes are too many, no JSON, of another specification version, or lack a required attribute.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > MAX_EVENT_BYTES {
            return Err(DecodeError(format!(
                "{} bytes; at most {MAX_EVENT_BYTES}",
                bytes.len()
            )));
        }
        let wire: Wire = serde_json::from_slice(bytes).map_err(|e| DecodeError(position_only(&e)))?;
        if wire.specversion != SPEC_VERSION {
            return Err(DecodeError(format!("specversion is not {SPEC_VERSION}")));
        }
        if wire.datacontenttype != DATA_CONTENT_TYPE {
            return Err(DecodeError(format!("datacontenttype is not {DATA_CONTENT_TYPE}")));
        }
        Ok(Self {
            id: wire.id,
            source: wire.source,
            event_type: wire.event_type,
            subject: wire.subject,
            time: wire.time,
            dataschema: wire.dataschema,
            sequence: wire.sequence,
            traceparent: wire.traceparent,
            data: wire.data,
        })
    }

    /// The envelope as bytes for the broker.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let wire = Wire {
            specversion: SPEC_VERSION.to_owned(),
            id: self.id,
            source: self.source.clone(),
            event_type: self.event_type.clone(),
            subject: self.subject.clone(),
            time: self.time,
            dataschema: self.dataschema.clone(),
            datacontenttype: json_content_type(),
            sequence: self.sequence.clone(),
            traceparent: self.traceparent.clone(),
            data: self.data.clone(),
        };
        // A map with string keys and JSON values always serialises.
        serde_json::to_vec(&wire).unwrap_or_default()
    }

    /// Reads `data` as the contract of this event type.
    ///
    /// # Errors
    /// When a field of the contract is missing or of another type.
    pub fn data<T: DeserializeOwned>(&self) -> Result<T, DecodeError> {
        T::deserialize(&self.data)
            .map_err(|e| DecodeError(format!("data of {}: {}", self.event_type, kind_only(&e))))
    }
}

/// Says where JSON went wrong without quoting it: a broken event may hold anything.
fn position_only(error: &serde_json::Error) -> String {
    format!(
        "{:?} fault at line {} column {}",
        error.classify(),
        error.line(),
        error.column()
    )
}

/// Serde's data errors name the field or the kind of value; those that quote a value are cut before it.
fn kind_only(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.split_once(": ") {
        Some((kind, _)) => kind.to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn event() -> Event {
        Event {
            id: Uuid::from_u128(7),
            source: "/recoverly/social".into(),
            event_type: "social.profile.changed".into(),
            subject: Some("client-001".into()),
            time: DateTime::UNIX_EPOCH,
            dataschema: None,
            sequence: Some("41".into()),
            traceparent: None,
            data: serde_json::json!({"current_risk_label": "LOW_RISK"}),
        }
    }

    #[test]
    fn an_envelope_survives_the_wire() {
        assert_eq!(Event::decode(&event().encode()), Ok(event()));
    }

    #[test]
    fn unknown_attributes_are_ignored() {
        let mut wire: serde_json::Value = serde_json::from_slice(&event().encode()).unwrap();
        wire.as_object_mut()
            .unwrap()
            .insert("someday".into(), true.into());
        assert_eq!(Event::decode(wire.to_string().as_bytes()), Ok(event()));
    }

    #[test]
    fn a_broken_envelope_is_refused_without_being_quoted() {
        let error = Event::decode(br#"{"secret": "relapsed in May"}"#)
            .unwrap_err()
            .to_string();
        assert!(!error.contains("May"), "{error}");
        assert!(Event::decode(&vec![b' '; MAX_EVENT_BYTES + 1]).is_err());
    }

    #[test]
    fn data_of_another_shape_is_refused_without_being_quoted() {
        #[derive(Debug, Deserialize)]
        struct Other {
            #[expect(dead_code, reason = "only its type matters")]
            current_risk_label: i64,
        }
        let error = event().data::<Other>().unwrap_err().to_string();
        assert!(!error.contains("LOW_RISK"), "{error}");
    }
}
