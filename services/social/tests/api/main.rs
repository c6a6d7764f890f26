//! The social service over HTTP, on real servers.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod access;
mod contact_methods;
mod coverage;
mod deliveries;
mod escalations;
mod events;
mod family;
mod family_races;
mod harness;
mod leaving;
mod meetings;
mod meetings_calendar;
mod model_risk;
mod nudge_sources;
mod nudge_templates;
mod nudges;
mod oncall;
mod oncall_calendar;
mod oncall_duty;
mod predictions;
mod profiles;
mod published;
mod receiver;
mod reference;
mod retention;
mod risk_policies;
mod rules;
mod safety;
mod silence;
mod stream;
mod swaps;
mod tiers;
mod tiers_agree;
mod warning_pages;
mod watch;
