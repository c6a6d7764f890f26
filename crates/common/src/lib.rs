//! The domain types and event contracts that cross a service border. Serde only: no I/O, no clock.

#![warn(missing_docs)]

pub mod contracts;
mod disclosure;
mod event;
mod principal;
mod probability;
mod scope;
mod words;

pub use disclosure::REDISCLOSURE_NOTICE;
pub use event::{DecodeError, Event, MAX_EVENT_BYTES};
pub use principal::PrincipalKind;
pub use probability::{MICROS, Probability};
pub use scope::{is_scope, noun_of, scope_of};
pub use words::{
    ConsentPurpose, ContactOutcome, ConversationType, EscalationStatus, EscalationType, LevelCause,
    MeetingStatus, ModelRiskLevel, ModelStage, RiskLabel, SenderRole, Trend, UnknownWord, Urgency,
};
