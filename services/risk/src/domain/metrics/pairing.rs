//! Two versions over the same clients and days: only what both predicted may be compared.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use common::Probability;

use super::bootstrap::Labelled;

/// A prediction whose label is known, and when it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dated<K> {
    pub(crate) client: K,
    pub(crate) predicted_at: DateTime<Utc>,
    pub(crate) score: Probability,
    pub(crate) positive: bool,
}

/// A client's day in both versions. The labels differ where the horizons do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pair<K> {
    pub(crate) client: K,
    pub(crate) day: NaiveDate,
    first: (Probability, bool),
    second: (Probability, bool),
}

impl<K: Clone> Pair<K> {
    /// As the first version saw it.
    pub(crate) fn first(&self) -> Labelled<K> {
        self.labelled(self.first)
    }

    /// As the second version saw it.
    pub(crate) fn second(&self) -> Labelled<K> {
        self.labelled(self.second)
    }

    fn labelled(&self, (score, positive): (Probability, bool)) -> Labelled<K> {
        Labelled {
            client: self.client.clone(),
            score,
            positive,
        }
    }
}

/// Joins by client and UTC day, in this order. Of several predictions of a version on a day the last one counts, and
/// of several at one instant the highest.
pub(crate) fn pairs<K: Ord + Clone>(first: &[Dated<K>], second: &[Dated<K>]) -> Vec<Pair<K>> {
    let second = by_day(second);
    by_day(first)
        .into_iter()
        .filter_map(|(key, first)| {
            let second = second.get(&key)?;
            Some(Pair {
                client: key.0.clone(),
                day: key.1,
                first: (first.score, first.positive),
                second: (second.score, second.positive),
            })
        })
        .collect()
}

fn by_day<K: Ord>(predictions: &[Dated<K>]) -> BTreeMap<(&K, NaiveDate), &Dated<K>> {
    let mut days = BTreeMap::new();
    for prediction in predictions {
        let last = days
            .entry((&prediction.client, prediction.predicted_at.date_naive()))
            .or_insert(prediction);
        let order = |one: &Dated<K>| (one.predicted_at, one.score);
        if order(prediction) > order(last) {
            *last = prediction;
        }
    }
    days
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn dated(client: &'static str, hour: i64, score: f64) -> Dated<&'static str> {
        Dated {
            client,
            predicted_at: DateTime::UNIX_EPOCH + TimeDelta::hours(hour),
            score: Probability::new(score).unwrap_or_default(),
            positive: score > 0.5,
        }
    }

    #[test]
    fn only_days_that_both_versions_predicted_are_paired_each_by_its_last_prediction() {
        let first = [
            dated("b", 1, 0.3),
            dated("a", 23, 0.2),
            dated("a", 2, 0.9),
            dated("a", 24, 0.4),
        ];
        let second = [
            dated("a", 3, 0.7),
            dated("a", 3, 0.6),
            dated("c", 1, 0.1),
            dated("b", 25, 0.1),
        ];
        let found = pairs(&first, &second);
        let [pair] = found.as_slice() else {
            panic!("{found:?}")
        };
        assert_eq!((pair.client, pair.day), ("a", NaiveDate::default()));
        assert_eq!(
            (pair.first().score, pair.first().positive),
            (first[1].score, false)
        );
        assert_eq!(
            (pair.second().score, pair.second().positive),
            (second[0].score, true)
        );
    }
}
