//! How far a prediction looks ahead.

use chrono::TimeDelta;

pub(crate) const HORIZON_DAYS_MAX: i32 = 365;

/// How far a model looks ahead, in whole days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Horizon(i16);

impl Horizon {
    /// `None` for less than a day or more than a year.
    pub(crate) fn new(days: i32) -> Option<Self> {
        let within = (1..=HORIZON_DAYS_MAX).contains(&days);
        i16::try_from(days).ok().filter(|_| within).map(Self)
    }

    pub(crate) fn days(self) -> i16 {
        self.0
    }

    pub(crate) fn length(self) -> TimeDelta {
        TimeDelta::days(self.0.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_horizon_is_from_a_day_to_a_year() {
        assert_eq!((Horizon::new(0), Horizon::new(366)), (None, None));
        assert!(Horizon::new(1).is_some() && Horizon::new(365).is_some());
    }
}
