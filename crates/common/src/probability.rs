//! Probabilities as the rules count them: integer millionths, exact and independent of order.

use serde::{Serialize, Serializer};

/// Millionths in one.
pub const MICROS: u32 = 1_000_000;

/// A finite number in 0..=1, rounded to six decimals when it comes in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Probability(u32);

impl Probability {
    /// Rounds to six decimals. `None` for what is not in 0..=1, also NaN and the infinities.
    #[must_use]
    pub fn new(value: f64) -> Option<Self> {
        if !(0.0..=1.0).contains(&value) {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0..=1 times a million fits"
        )]
        Some(Self((value * f64::from(MICROS)).round() as u32))
    }

    /// From millionths. `None` above a million.
    #[must_use]
    pub fn from_micros(micros: i64) -> Option<Self> {
        u32::try_from(micros)
            .ok()
            .filter(|micros| *micros <= MICROS)
            .map(Self)
    }

    /// In millionths, 0..=1,000,000.
    #[must_use]
    pub const fn micros(self) -> u32 {
        self.0
    }

    /// The nearest double to the decimal.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        f64::from(self.0) / f64::from(MICROS)
    }
}

impl Serialize for Probability {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.as_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_finite_numbers_from_zero_to_one_are_probabilities() {
        for bad in [
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            -0.01,
            1.01,
            1.000_000_1,
        ] {
            assert_eq!(Probability::new(bad), None, "{bad}");
        }
        assert_eq!(Probability::new(-0.0).map(Probability::micros), Some(0));
        assert_eq!(Probability::new(1.0).map(Probability::micros), Some(MICROS));
    }

    #[test]
    fn a_single_precision_threshold_is_met_after_rounding() {
        assert_eq!(
            Probability::new(f64::from(0.7_f32)).map(Probability::as_f64),
            Some(0.7)
        );
    }
}
