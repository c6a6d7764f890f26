//! Whether inputs and scores are still distributed as in a reference window: the population stability index,
//! PSI = Σ (current − reference) · ln(current / reference) over the shares of bins.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::histogram::Histogram;
use super::{Measured, Undefined};

/// A share is at least so much: an empty bin would make the index infinite. The shares are not scaled again.
const SHARE_MIN: f64 = 1e-4;
/// The reference is cut into so many bins of equal counts.
const QUANTILES: u64 = 10;

/// Values of a feature in a window: each number with its count, in rising order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Numbers {
    counted: Vec<(f64, u64)>,
    missing: u64,
}

impl Numbers {
    /// `None` in place of a value is a missing one. Refuses NaN and the infinities. What the bins of features, which the
    /// database counts, are held to.
    #[cfg(test)]
    pub(crate) fn new(values: impl IntoIterator<Item = Option<f64>>) -> Option<Self> {
        let mut missing = 0;
        let mut sorted = Vec::new();
        for value in values {
            match value {
                None => missing += 1,
                // Plus zero: a zero has no sign.
                Some(value) if value.is_finite() => sorted.push(value + 0.0),
                Some(_) => return None,
            }
        }
        sorted.sort_by(f64::total_cmp);
        let counted = sorted
            .chunk_by(|one, next| one == next)
            .filter_map(|same| Some((*same.first()?, same.len() as u64)))
            .collect();
        Some(Self { counted, missing })
    }

    /// The scores of a window, labelled or not.
    pub(crate) fn of_scores(histogram: &Histogram) -> Self {
        let buckets = histogram.buckets().iter();
        Self {
            counted: buckets
                .map(|bucket| (bucket.score.as_f64(), bucket.counts.total()))
                .collect(),
            missing: 0,
        }
    }

    /// The smallest value at or below which `tenths` tenths of the values lie: always one of the values.
    fn quantile(&self, tenths: u64) -> Option<f64> {
        let count: u64 = self.counted.iter().map(|(_, count)| count).sum();
        let rank = (count * tenths).div_ceil(QUANTILES);
        let mut seen = 0;
        self.counted
            .iter()
            .find(|(_, count)| {
                seen += count;
                seen >= rank
            })
            .map(|(value, _)| *value)
    }
}

/// Where one bin ends.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cut {
    value: f64,
    /// The value has a bin of its own; else it is the greatest of the bin below.
    alone: bool,
}

/// Bins by the quantiles of a reference: (−∞, q1], (q1, q2], …, (q9, ∞), and one for missing values. A value that is
/// several of the quantiles, as a common one or that of a constant feature, has a bin of its own: so its becoming
/// rarer shows, whether others move below or above it. Bins of numbers are never more than ten.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Quantiles(Vec<Cut>);

impl Quantiles {
    /// Cuts at the quantiles of the values that are not missing.
    pub(crate) fn of(reference: &Numbers) -> Self {
        let mut cuts: Vec<Cut> = Vec::new();
        for value in (1..QUANTILES).filter_map(|tenths| reference.quantile(tenths)) {
            match cuts.last_mut() {
                Some(last) if last.value == value => last.alone = true,
                _ => cuts.push(Cut { value, alone: false }),
            }
        }
        Self(cuts)
    }

    /// How many values are in each bin; the last is that of the missing ones. Counts of days may be added up.
    pub(crate) fn counts(&self, numbers: &Numbers) -> Vec<u64> {
        let bins = self.0.iter().map(|cut| 1 + usize::from(cut.alone)).sum::<usize>() + 1;
        let mut counts = vec![0; bins];
        for (value, count) in &numbers.counted {
            if let Some(bin) = counts.get_mut(self.bin(*value)) {
                *bin += count;
            }
        }
        counts.push(numbers.missing);
        counts
    }

    fn bin(&self, value: f64) -> usize {
        let mut bin = 0;
        for cut in &self.0 {
            match value.partial_cmp(&cut.value) {
                Some(Ordering::Greater) => bin += 1 + usize::from(cut.alone),
                Some(Ordering::Equal) => return bin + usize::from(cut.alone),
                Some(Ordering::Less) | None => return bin,
            }
        }
        bin
    }
}

/// The index of a number.
///
/// # Errors
/// Where one of the windows is empty; a window of missing values is not.
pub(crate) fn of_numbers(reference: &Numbers, current: &Numbers) -> Measured {
    let quantiles = Quantiles::of(reference);
    of_counts(
        quantiles
            .counts(reference)
            .into_iter()
            .zip(quantiles.counts(current)),
    )
}

/// The index of a category or a truth value: each is a bin, so is `None`, a missing value, and so is one that only
/// one of the windows has.
///
/// # Errors
/// As [`of_numbers`].
pub(crate) fn of_categories<K: Ord>(
    reference: &BTreeMap<Option<K>, u64>,
    current: &BTreeMap<Option<K>, u64>,
) -> Measured {
    let both: BTreeMap<_, ()> = reference
        .keys()
        .chain(current.keys())
        .map(|key| (key, ()))
        .collect();
    let count = |window: &BTreeMap<Option<K>, u64>, key| window.get(key).copied().unwrap_or(0);
    of_counts(
        both.into_keys()
            .map(|key| (count(reference, key), count(current, key))),
    )
}

/// The index of bins as (reference, current).
///
/// # Errors
/// As [`of_numbers`].
pub(crate) fn of_counts(bins: impl IntoIterator<Item = (u64, u64)>) -> Measured {
    let bins: Vec<_> = bins.into_iter().collect();
    let reference: u64 = bins.iter().map(|(count, _)| count).sum();
    let current: u64 = bins.iter().map(|(_, count)| count).sum();
    if reference == 0 {
        return Err(Undefined::NoReference);
    }
    if current == 0 {
        return Err(Undefined::NoCurrent);
    }
    let share = |count: u64, total: u64| (count as f64 / total as f64).max(SHARE_MIN);
    let terms = bins.into_iter().map(|(before, now)| {
        let (before, now) = (share(before, reference), share(now, current));
        (now - before) * (now / before).ln()
    });
    Ok(terms.sum())
}

#[cfg(test)]
mod tests {
    use common::Probability;

    use super::super::histogram::{Bucket, Label};
    use super::*;

    fn numbers(values: impl IntoIterator<Item = f64>) -> Numbers {
        Numbers::new(values.into_iter().map(Some)).unwrap_or_default()
    }

    fn repeated(parts: &[(f64, usize)]) -> Numbers {
        numbers(parts.iter().flat_map(|(value, count)| vec![*value; *count]))
    }

    /// (current − reference) · ln(current / reference), by hand.
    fn term(reference: f64, current: f64) -> f64 {
        (current - reference) * (current / reference).ln()
    }

    fn near(found: Measured, expected: f64) {
        assert!(
            found.is_ok_and(|psi| (psi - expected).abs() < 1e-12),
            "{found:?}, not {expected}"
        );
    }

    #[test]
    fn a_reference_without_ties_is_cut_into_ten_bins_of_equal_counts() {
        let reference = numbers((1..=100).map(f64::from));
        assert_eq!(
            Quantiles::of(&reference).counts(&reference),
            [vec![10; 10], vec![0]].concat()
        );
        assert_eq!(of_numbers(&reference, &reference), Ok(0.0));
    }

    #[test]
    fn a_value_on_an_edge_is_in_the_bin_below_it() {
        let reference = numbers((1..=100).map(f64::from));
        let quantiles = Quantiles::of(&reference);
        assert_eq!(
            (quantiles.bin(10.0), quantiles.bin(10.5), quantiles.bin(91.0)),
            (0, 1, 9)
        );
        assert_eq!((quantiles.bin(-1e300), quantiles.bin(1e300)), (0, 9));
    }

    #[test]
    fn a_constant_feature_that_moves_either_way_shows() {
        let reference = repeated(&[(5.0, 40)]);
        for moved in [4.0, 6.0] {
            let current = repeated(&[(moved, 10), (5.0, 10)]);
            near(of_numbers(&reference, &current), term(1.0, 0.5) + term(1e-4, 0.5));
        }
        assert_eq!(of_numbers(&reference, &repeated(&[(5.0, 3)])), Ok(0.0));
    }

    /// With plain edges nine tenths of the quantiles are 1, and 0 would share its bin.
    #[test]
    fn a_common_value_has_a_bin_of_its_own_so_that_a_rare_one_below_it_shows() {
        let reference = repeated(&[(0.0, 5), (1.0, 95)]);
        let current = repeated(&[(0.0, 50), (1.0, 50)]);
        near(
            of_numbers(&reference, &current),
            term(0.05, 0.5) + term(0.95, 0.5),
        );
    }

    #[test]
    fn scores_are_numbers_labelled_or_not() {
        let one = |(score, label)| Bucket::one(Probability::new(score).unwrap_or_default(), label);
        let scores = [
            (0.9, Label::Positive),
            (0.2, Label::Unlabelled),
            (0.9, Label::Negative),
        ];
        let histogram = Histogram::new(scores.into_iter().map(one).collect());
        assert_eq!(Numbers::of_scores(&histogram), numbers([0.2, 0.9, 0.9]));
    }

    #[test]
    fn missing_values_are_a_bin_of_their_own() {
        let half = |value: f64| Numbers::new([Some(value), None, Some(value), None]).unwrap_or_default();
        let full = repeated(&[(2.0, 4)]);
        near(of_numbers(&full, &half(2.0)), term(1.0, 0.5) + term(1e-4, 0.5));
        let nothing = Numbers::new([None, None]).unwrap_or_default();
        near(of_numbers(&nothing, &full), term(1.0, 1e-4) + term(1e-4, 1.0));
        assert_eq!(of_numbers(&nothing, &nothing), Ok(0.0));
    }

    #[test]
    fn categories_are_bins_also_those_that_are_new_or_gone() {
        let reference = BTreeMap::from([(Some("home"), 6), (Some("work"), 4)]);
        let current = BTreeMap::from([(Some("home"), 5), (Some("bar"), 3), (None, 2)]);
        near(
            of_categories(&reference, &current),
            term(0.6, 0.5) + term(0.4, 1e-4) + term(1e-4, 0.3) + term(1e-4, 0.2),
        );
        let truths = BTreeMap::from([(Some(false), 1), (Some(true), 3)]);
        assert_eq!(of_categories(&truths, &truths), Ok(0.0));
    }

    #[test]
    fn an_empty_window_has_no_index_and_it_is_said_which() {
        let some = repeated(&[(1.0, 2)]);
        assert_eq!(
            of_numbers(&Numbers::default(), &some),
            Err(Undefined::NoReference)
        );
        assert_eq!(of_numbers(&some, &Numbers::default()), Err(Undefined::NoCurrent));
        assert_eq!(
            of_categories::<bool>(&BTreeMap::new(), &BTreeMap::new()),
            Err(Undefined::NoReference)
        );
    }

    #[test]
    fn what_is_not_finite_is_no_number_and_a_zero_has_no_sign() {
        assert_eq!(Numbers::new([Some(f64::NAN)]), None);
        assert_eq!(Numbers::new([Some(f64::INFINITY)]), None);
        assert_eq!(numbers([-0.0, 0.0]).counted, [(0.0, 2)]);
    }
}
