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

/// A prediction that is to be taken away was never counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NeverCounted;

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

    /// The predictions of both.
    pub(crate) fn merge(mut self, other: &Self) -> Self {
        self.buckets.extend_from_slice(&other.buckets);
        Self::new(self.buckets)
    }

    /// In rising order of score.
    pub(crate) fn buckets(&self) -> &[Bucket] {
        &self.buckets
    }

    /// Counts one more prediction.
    pub(crate) fn add(&mut self, score: Probability, label: Label) {
        let mut one = Counts::default();
        *one.of(label) = 1;
        match self.position(score) {
            Ok(at) => {
                if let Some(bucket) = self.buckets.get_mut(at) {
                    bucket.counts = bucket.counts.plus(one);
                }
            }
            Err(at) => self.buckets.insert(at, Bucket { score, counts: one }),
        }
    }

    /// Takes a prediction away again.
    ///
    /// # Errors
    /// When there is none of this score and label; nothing is changed.
    pub(crate) fn remove(&mut self, score: Probability, label: Label) -> Result<(), NeverCounted> {
        let at = self.position(score).map_err(|_| NeverCounted)?;
        let bucket = self.buckets.get_mut(at).ok_or(NeverCounted)?;
        let count = bucket.counts.of(label);
        *count = count.checked_sub(1).ok_or(NeverCounted)?;
        if bucket.counts.total() == 0 {
            self.buckets.remove(at);
        }
        Ok(())
    }

    /// A label came, or came to be another.
    ///
    /// # Errors
    /// As [`remove`](Self::remove).
    pub(crate) fn relabel(&mut self, score: Probability, from: Label, to: Label) -> Result<(), NeverCounted> {
        self.remove(score, from)?;
        self.add(score, to);
        Ok(())
    }

    fn position(&self, score: Probability) -> Result<usize, usize> {
        self.buckets.binary_search_by_key(&score, |bucket| bucket.score)
    }
}
