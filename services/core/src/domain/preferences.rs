//! How a client wants the app to be, and what they say they like.

use std::collections::BTreeMap;

use chrono::NaiveTime;
use common::Probability;
use serde::Serialize;

/// The keys of a map of weekdays.
pub(crate) const WEEKDAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];
/// How a client can be reached.
pub(crate) const CHANNELS: [&str; 4] = ["in_app", "email", "push", "sms"];

/// Preferences as they came in; they replace the ones before.
#[derive(Clone, Debug)]
pub(crate) struct Preferences {
    pub(crate) custom_hours: Option<CustomHours>,
    pub(crate) theme: Option<String>,
    pub(crate) communication_preferences: Switches,
    pub(crate) onboarding_completed: bool,
}

/// What is switched on or off; what is not named is neither.
pub(crate) type Switches = BTreeMap<&'static str, bool>;

/// The hours in which a client wants to be reached, in their own time zone. They go past midnight where they end before
/// they start.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CustomHours {
    pub(crate) start: String,
    pub(crate) end: String,
    /// Weekdays on which they hold or do not; they hold on those that are not named.
    #[serde(skip_serializing_if = "Switches::is_empty")]
    pub(crate) days: Switches,
}

/// A time of the day such as `09:30`.
pub(crate) fn local_time(text: &str) -> Option<String> {
    // Chrono alone would also read "9:3" and " 9:30".
    let is_padded =
        text.len() == "00:00".len() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b':');
    (is_padded && NaiveTime::parse_from_str(text, "%H:%M").is_ok()).then(|| text.to_owned())
}

/// What a client said they like or dislike.
#[derive(Clone, Debug)]
pub(crate) struct NewStatement {
    pub(crate) kind: &'static str,
    pub(crate) category: String,
    pub(crate) value: String,
    /// How much it counts; wholly where nothing is said.
    pub(crate) weight: Option<Probability>,
    pub(crate) role: Option<String>,
    pub(crate) source_session_id: Option<String>,
}

/// The kinds of [`NewStatement`].
pub(crate) const KINDS: &[&str] = &["like", "dislike"];

impl NewStatement {
    /// How much it counts, 0 to 1.
    pub(crate) fn weight(&self) -> f64 {
        self.weight.map_or(1.0, Probability::as_f64)
    }

    /// Whether it says what stands of the same thing already; where it was said before does not matter.
    pub(crate) fn repeats(&self, kind: &str, weight: f64) -> bool {
        self.kind == kind && Probability::new(self.weight()) == Probability::new(weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_the_day_has_two_digits_each() {
        for good in ["00:00", "09:30", "23:59"] {
            assert_eq!(local_time(good).as_deref(), Some(good));
        }
        for bad in [
            "", "9:30", "24:00", "12:60", "09:30:00", "09:3a", "+9:30", " 9:30",
        ] {
            assert_eq!(local_time(bad), None, "{bad}");
        }
    }
}
