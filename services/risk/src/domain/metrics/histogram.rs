//! How often each score was given, by label: all that the measures need to know of a day, or of many.

use common::Probability;

/// What came of a prediction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Label {
    Negative,
    Positive,
    /// Its horizon has not passed and nothing came yet.
    Unlabelled,
}

/// Predictions of one score, by label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) negatives: u64,
    pub(crate) positives: u64,
    pub(crate) unlabelled: u64,
}

impl Counts {
    /// With and without a label.
    pub(crate) fn total(self) -> u64 {
        self.negatives + self.positives + self.unlabelled
    }

    fn plus(self, other: Self) -> Self {
        Self {
            negatives: self.negatives + other.negatives,
            positives: self.positives + other.positives,
            unlabelled: self.unlabelled + other.unlabelled,
        }
    }

    /// What is taken away is part of it.
    fn minus(self, part: Self) -> Self {
        Self {
            negatives: self.negatives.saturating_sub(part.negatives),
            positives: self.positives.saturating_sub(part.positives),
            unlabelled: self.unlabelled.saturating_sub(part.unlabelled),
        }
    }

    fn of(&mut self, label: Label) -> &mut u64 {
        match label {
            Label::Negative => &mut self.negatives,
            Label::Positive => &mut self.positives,
            Label::Unlabelled => &mut self.unlabelled,
        }
    }
}

/// A score and how often it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bucket {
    pub(crate) score: Probability,
    pub(crate) counts: Counts,
}

impl Bucket {
    /// A prediction.
    pub(crate) fn one(score: Probability, label: Label) -> Self {
        let mut counts = Counts::default();
        *counts.of(label) = 1;
        Self { score, counts }
    }
}

/// Scores in rising order, each once and none that nobody has: two histograms of the same predictions are equal,
/// in whatever order these came. Scores have six decimals, so it has a million and one buckets at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Histogram {
    buckets: Vec<Bucket>,
}

impl Histogram {
    /// From buckets in any order; those of one score, as of several days, are added up.
    pub(crate) fn new(mut buckets: Vec<Bucket>) -> Self {
        // Stable, so that days which are sorted already are merged, not sorted again.
        buckets.sort_by_key(|bucket| bucket.score);
        buckets.dedup_by(|later, kept| {
            let same = later.score == kept.score;
            if same {
                kept.counts = kept.counts.plus(later.counts);
            }
            same
        });
        buckets.retain(|bucket| bucket.counts.total() > 0);
        Self { buckets }
    }

    /// In rising order of score.
    pub(crate) fn buckets(&self) -> &[Bucket] {
        &self.buckets
    }

    /// With what a part of it, such as a day, has become, in place of what it was. One pass over the buckets.
    pub(crate) fn exchange(&self, before: &Self, after: &Self) -> Self {
        let mut buckets = Vec::with_capacity(self.buckets.len() + after.buckets.len());
        let (mut gone, mut come) = (before.buckets.iter().peekable(), after.buckets.iter().peekable());
        for bucket in &self.buckets {
            while let Some(new) = come.next_if(|new| new.score < bucket.score) {
                buckets.push(*new);
            }
            let mut counts = bucket.counts;
            while let Some(old) = gone.next_if(|old| old.score <= bucket.score) {
                counts = counts.minus(old.counts);
            }
            if let Some(new) = come.next_if(|new| new.score == bucket.score) {
                counts = counts.plus(new.counts);
            }
            if counts.total() > 0 {
                buckets.push(Bucket { counts, ..*bucket });
            }
        }
        buckets.extend(come);
        Self { buckets }
    }
}
