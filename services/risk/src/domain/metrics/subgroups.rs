//! Whether a model is as good for some as for others: the gap between the groups that it serves worst and best.

use std::collections::BTreeMap;

use super::{Metric, Metrics, Undefined};

/// Groups with fewer labelled predictions are left out: their measures are noise, and may point at a person.
pub(crate) const GROUP_LABELLED_MIN: u64 = 50;

/// The groups at both ends of a measure; of equal ones the first by name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Gap {
    pub(crate) lowest: (String, f64),
    pub(crate) highest: (String, f64),
}

impl Gap {
    /// Zero where all groups are alike.
    pub(crate) fn size(&self) -> f64 {
        self.highest.1 - self.lowest.1
    }
}

/// The gap of a measure over the groups, by their names.
///
/// # Errors
/// Where fewer than two groups are large enough and have the measure.
pub(crate) fn gap(groups: &BTreeMap<String, Metrics>, metric: Metric) -> Result<Gap, Undefined> {
    let measured = groups
        .iter()
        .filter(|(_, metrics)| metrics.labelled >= GROUP_LABELLED_MIN)
        .filter_map(|(name, metrics)| Some((name, metrics.measures.get(metric).ok()?)));
    let mut measured: Vec<_> = measured.collect();
    // Stable: groups come in order of name.
    measured.sort_by(|one, other| one.1.total_cmp(&other.1));
    let [lowest, .., last] = measured.as_slice() else {
        return Err(Undefined::OneGroup);
    };
    let highest = measured
        .iter()
        .find(|(_, value)| *value == last.1)
        .unwrap_or(last);
    let owned = |(name, value): &(&String, f64)| ((*name).clone(), *value);
    Ok(Gap {
        lowest: owned(lowest),
        highest: owned(highest),
    })
}

#[cfg(test)]
mod tests {
    use common::Probability;

    use super::super::histogram::{Bucket, Counts, Histogram};
    use super::*;

    /// A group in which so many of a score of 0.5 are positive.
    fn group(name: &str, positives: u64, labelled: u64) -> (String, Metrics) {
        let score = Probability::new(0.5).unwrap_or_default();
        let counts = Counts {
            negatives: labelled - positives,
            positives,
            unlabelled: 0,
        };
        let histogram = Histogram::new(vec![Bucket { score, counts }]);
        (name.to_owned(), Metrics::of(&histogram, score))
    }

    #[test]
    fn a_gap_is_between_the_groups_at_both_ends() {
        let groups = BTreeMap::from([
            group("b", 30, 100),
            group("c", 10, 100),
            group("a", 30, 100),
            group("small", 49, 49),
        ]);
        let found = gap(&groups, Metric::Prevalence);
        let expected = Gap {
            lowest: ("c".to_owned(), 0.1),
            highest: ("a".to_owned(), 0.3),
        };
        assert_eq!(found.as_ref().map(Gap::size), Ok(0.3 - 0.1));
        assert_eq!(found, Ok(expected));
    }

    #[test]
    fn a_gap_needs_two_groups_that_have_the_measure() {
        let one = BTreeMap::from([group("a", 30, 100), group("small", 1, 49)]);
        assert_eq!(gap(&one, Metric::Brier), Err(Undefined::OneGroup));
        let never = BTreeMap::from([group("a", 30, 100), group("b", 0, 100)]);
        assert_eq!(gap(&never, Metric::Auroc), Err(Undefined::OneGroup));
        assert!(gap(&never, Metric::Brier).is_ok());
    }
}
