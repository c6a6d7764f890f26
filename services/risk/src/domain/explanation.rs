//! What a model says its prediction is made of, and whether that adds up.

use common::{MICROS, Probability};

/// How far base and contributions may be from the prediction, in units of the link.
const TOLERANCE: f64 = 1e-3;
/// Predictions are kept in millionths, so that one may stand for what is half of that more or less.
const HALF_MICRO: f64 = 0.5 / MICROS as f64;

/// In what units contributions are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// Of the probability itself.
    Identity,
    /// Of its log-odds.
    Logit,
}

impl Link {
    /// The log-odds of 0 and of what is below are −∞, those of 1 and above +∞.
    fn of(self, probability: f64) -> f64 {
        match self {
            Self::Identity => probability,
            Self::Logit => {
                let probability = probability.clamp(0.0, 1.0);
                (probability / (1.0 - probability)).ln()
            }
        }
    }
}

/// One feature's part in a prediction.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Contribution {
    pub(crate) feature: String,
    pub(crate) contribution: f64,
}

/// Why an explanation does not add up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum NotAdditive {
    /// A part or the sum is not a finite number.
    NotFinite,
    /// Base and contributions are `sum`, which is off by `difference` (sum − prediction, in units of the link). From a
    /// prediction of 0 or 1 in log-odds, which are infinite, it is the distance to the nearest that rounds to it.
    Off { sum: f64, difference: f64 },
}

/// Whether base and contributions add up to the prediction, within 1e-3 in the link.
///
/// The prediction is known to half a millionth, so the sum must be within 1e-3 of the link of some probability that
/// rounds to it. In the middle that changes nothing; near 0 and 1 it matters, where log-odds are steep: 0.000001 stands
/// for −14.5 to −13.4. And so a prediction of 1 is explained by every sum from 14.5 on, that of 0 by every sum up to
/// −14.5: a saturated model is neither refused nor clipped to a number that its contributions cannot have.
///
/// # Errors
/// When it does not, with the difference.
pub(crate) fn adds_up(
    base: f64,
    contributions: &[Contribution],
    prediction: Probability,
    link: Link,
) -> Result<(), NotAdditive> {
    let sum = base + contributions.iter().map(|part| part.contribution).sum::<f64>();
    if !sum.is_finite() {
        return Err(NotAdditive::NotFinite);
    }
    let (least, most) = (
        link.of(prediction.as_f64() - HALF_MICRO),
        link.of(prediction.as_f64() + HALF_MICRO),
    );
    if (least - TOLERANCE..=most + TOLERANCE).contains(&sum) {
        return Ok(());
    }
    let middle = link.of(prediction.as_f64());
    let difference = if middle.is_finite() {
        sum - middle
    } else {
        sum - sum.clamp(least, most)
    };
    Err(NotAdditive::Off { sum, difference })
}

/// The greatest contribution first, whatever its sign; equal ones by name.
pub(crate) fn rank(contributions: &mut [Contribution]) {
    contributions.sort_by(|one, other| {
        let sizes = other.contribution.abs().total_cmp(&one.contribution.abs());
        sizes.then_with(|| one.feature.cmp(&other.feature))
    });
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn parts(values: &[f64]) -> Vec<Contribution> {
        let named = |(at, value): (usize, &f64)| Contribution {
            feature: format!("f{at}"),
            contribution: *value,
        };
        values.iter().enumerate().map(named).collect()
    }

    fn check(base: f64, values: &[f64], prediction: f64, link: Link) -> Result<(), NotAdditive> {
        adds_up(base, &parts(values), Probability::new(prediction).unwrap(), link)
    }

    fn difference(found: Result<(), NotAdditive>) -> f64 {
        match found {
            Err(NotAdditive::Off { difference, .. }) => difference,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn base_and_contributions_are_the_prediction_within_a_thousandth() {
        assert_eq!(check(0.2, &[0.4, -0.1], 0.5, Link::Identity), Ok(()));
        assert_eq!(check(0.2, &[0.4, -0.1], 0.500_99, Link::Identity), Ok(()));
        assert_eq!(check(0.5, &[], 0.499_01, Link::Identity), Ok(()));
        let off = difference(check(0.2, &[0.4, -0.1], 0.498_9, Link::Identity));
        assert!((off - 0.0011).abs() < 1e-12, "{off}");
        let off = difference(check(0.1, &[], 0.3, Link::Identity));
        assert!((off + 0.2).abs() < 1e-12, "{off}");
    }

    #[test]
    fn in_log_odds_the_same_holds_of_the_log_odds() {
        let logit = (0.8_f64 / 0.2).ln();
        assert_eq!(check(-1.0, &[2.0, logit - 1.0], 0.8, Link::Logit), Ok(()));
        let off = difference(check(-1.0, &[2.0, logit - 0.9], 0.8, Link::Logit));
        assert!((off - 0.1).abs() < 1e-9, "{off}");
        difference(check(0.8, &[], 0.8, Link::Logit));
    }

    /// Their log-odds are infinite, and no contributions are.
    #[test]
    fn a_prediction_of_zero_or_one_is_explained_by_every_sum_that_rounds_to_it() {
        for sum in [14.6, 20.0, 700.0] {
            assert_eq!(check(sum, &[], 1.0, Link::Logit), Ok(()), "{sum}");
            assert_eq!(check(-sum, &[], 0.0, Link::Logit), Ok(()), "{sum}");
        }
        let off = difference(check(4.0, &[], 1.0, Link::Logit));
        assert!((off + 10.508_657).abs() < 1e-6, "{off}");
        let off = difference(check(-4.0, &[], 0.0, Link::Logit));
        assert!((off - 10.508_657).abs() < 1e-6, "{off}");
        difference(check(-20.0, &[], 1.0, Link::Logit));
    }

    #[test]
    fn near_one_the_rounding_of_the_prediction_is_no_fault_of_the_explanation() {
        let margin = 13.6_f64; // 0.99999876, kept as 0.999999, whose log-odds are 13.8
        let kept = 1.0 / (1.0 + (-margin).exp());
        assert_eq!(check(margin, &[], kept, Link::Logit), Ok(()));
        difference(check(margin - 0.3, &[], kept, Link::Logit));
    }

    #[test]
    fn what_is_not_finite_does_not_add_up() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(check(bad, &[], 0.5, Link::Logit), Err(NotAdditive::NotFinite));
            assert_eq!(check(0.0, &[bad], 1.0, Link::Logit), Err(NotAdditive::NotFinite));
        }
        assert_eq!(
            check(0.0, &[f64::MAX, f64::MAX], 1.0, Link::Logit),
            Err(NotAdditive::NotFinite)
        );
    }

    #[test]
    fn the_greatest_contribution_is_first_whatever_its_sign_and_equal_ones_are_by_name() {
        let mut ranked = parts(&[0.1, -0.5, 0.2, -0.2, 0.0]);
        rank(&mut ranked);
        let names: Vec<_> = ranked.iter().map(|part| part.feature.as_str()).collect();
        assert_eq!(names, ["f1", "f2", "f3", "f0", "f4"]);
    }
}
