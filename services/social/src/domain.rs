//! What the social service decides, as pure functions: time is an argument, nothing waits, nothing is written.

pub(crate) mod calendar;
pub(crate) mod callback;
pub(crate) mod contact;
pub(crate) mod drill;
pub(crate) mod duty;
pub(crate) mod escalation;
pub(crate) mod family;
pub(crate) mod intervention;
pub(crate) mod label;
pub(crate) mod meeting;
pub(crate) mod nudge;
pub(crate) mod page;
pub(crate) mod policy;
pub(crate) mod prediction;
pub(crate) mod preview;
pub(crate) mod profile;
pub(crate) mod quiet;
pub(crate) mod readings;
pub(crate) mod rotation;
pub(crate) mod safety;
pub(crate) mod silence;
pub(crate) mod stream;
pub(crate) mod swap;
pub(crate) mod template;
pub(crate) mod warning;
pub(crate) mod windows;
