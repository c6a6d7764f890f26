//! What came of a prediction: its label.

use chrono::{DateTime, TimeDelta, Utc};

use super::metrics::histogram::Label;

pub(crate) const HORIZON_DAYS_MAX: i32 = 365;

/// How far a model looks ahead, in whole days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Horizon(i32);

impl Horizon {
    /// `None` for less than a day or more than a year.
    pub(crate) fn new(days: i32) -> Option<Self> {
        (1..=HORIZON_DAYS_MAX).contains(&days).then_some(Self(days))
    }

    pub(crate) fn length(self) -> TimeDelta {
        TimeDelta::days(self.0.into())
    }

    /// Whether what happened then is what a prediction was about: in `(predicted_at, predicted_at + horizon]`.
    pub(crate) fn covers(self, predicted_at: DateTime<Utc>, happened_at: DateTime<Utc>) -> bool {
        predicted_at < happened_at && happened_at - predicted_at <= self.length()
    }
}

/// Positive as soon as a relapse or lapse within the horizon is known, negative once the horizon has passed without
/// one. A relapse that is told late makes a negative prediction positive.
pub(crate) fn label(
    predicted_at: DateTime<Utc>,
    horizon: Horizon,
    relapses: &[DateTime<Utc>],
    now: DateTime<Utc>,
) -> Label {
    if relapses.iter().any(|at| horizon.covers(predicted_at, *at)) {
        Label::Positive
    } else if now - predicted_at > horizon.length() {
        Label::Negative
    } else {
        Label::Unlabelled
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    const TICK: TimeDelta = TimeDelta::microseconds(1);

    #[test]
    fn the_horizon_is_open_at_the_prediction_and_closed_at_its_end() {
        let horizon = Horizon::new(7).unwrap();
        let at = DateTime::UNIX_EPOCH;
        let end = at + TimeDelta::days(7);
        let with = |relapse| label(at, horizon, &[relapse], at + TimeDelta::days(8));
        assert_eq!(with(at), Label::Negative);
        assert_eq!(with(at + TICK), Label::Positive);
        assert_eq!(with(end), Label::Positive);
        assert_eq!(with(end + TICK), Label::Negative);
    }

    #[test]
    fn a_prediction_has_no_label_until_a_relapse_came_or_the_horizon_passed() {
        let horizon = Horizon::new(7).unwrap();
        let at = DateTime::UNIX_EPOCH;
        let end = at + TimeDelta::days(7);
        assert_eq!(label(at, horizon, &[], end), Label::Unlabelled);
        assert_eq!(label(at, horizon, &[], end + TICK), Label::Negative);
        let relapse = at + TimeDelta::days(2);
        assert_eq!(label(at, horizon, &[relapse], relapse), Label::Positive);
    }

    #[test]
    fn a_horizon_is_from_a_day_to_a_year() {
        assert_eq!((Horizon::new(0), Horizon::new(366)), (None, None));
        assert!(Horizon::new(1).is_some() && Horizon::new(365).is_some());
    }
}
