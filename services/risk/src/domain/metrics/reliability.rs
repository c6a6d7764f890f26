//! Whether of those with a score of 0.7 seven in ten relapse: ten bins of equal width, and how far off they are.

use common::MICROS;

use super::ratio;

/// Bins of equal width: [0, 0.1), [0.1, 0.2), …, [0.9, 1]. A score on an edge is in the bin above it, and 1 in the last.
pub(crate) const BINS: usize = 10;
const WIDTH_MICROS: u32 = MICROS / BINS as u32;

/// The labelled predictions of one bin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bin {
    pub(crate) count: u64,
    pub(crate) positives: u64,
    /// The sum of their scores.
    pub(crate) score_micros: u64,
}

impl Bin {
    /// What the model says on average; `None` of an empty bin.
    pub(crate) fn mean_score(&self) -> Option<f64> {
        let sum = u128::from(self.score_micros);
        (self.count > 0).then(|| ratio(sum, u128::from(self.count) * u128::from(MICROS)))
    }

    /// How many of them were positive; `None` of an empty bin.
    pub(crate) fn observed_rate(&self) -> Option<f64> {
        (self.count > 0).then(|| ratio(self.positives.into(), self.count.into()))
    }

    /// How far the scores' sum is from the number of positives, in millionths.
    fn gap_micros(&self) -> u128 {
        (u128::from(self.positives) * u128::from(MICROS)).abs_diff(self.score_micros.into())
    }
}

/// All bins, the lowest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bins(pub(crate) [Bin; BINS]);

impl Bins {
    pub(super) fn push(&mut self, micros: u32, count: u64, positives: u64) {
        let at = (micros / WIDTH_MICROS) as usize;
        if let Some(bin) = self.0.get_mut(at.min(BINS - 1)) {
            bin.count += count;
            bin.positives += positives;
            bin.score_micros += count * u64::from(micros);
        }
    }

    /// The mean of the bins' distances between score and rate, each bin by its share of the `labelled` predictions.
    pub(super) fn calibration_error(&self, labelled: u64) -> f64 {
        let gaps = self.0.iter().map(Bin::gap_micros).sum();
        ratio(gaps, u128::from(labelled) * u128::from(MICROS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_on_an_edge_is_in_the_bin_above_it_and_one_is_in_the_last() {
        for (micros, bin) in [
            (0, 0),
            (99_999, 0),
            (100_000, 1),
            (300_000, 3),
            (899_999, 8),
            (900_000, 9),
            (1_000_000, 9),
        ] {
            let mut bins = Bins::default();
            bins.push(micros, 1, 1);
            let found = bins.0.iter().position(|bin| bin.count == 1);
            assert_eq!(found, Some(bin), "{micros}");
        }
    }

    #[test]
    fn an_empty_bin_has_neither_a_score_nor_a_rate() {
        assert_eq!(
            (Bin::default().mean_score(), Bin::default().observed_rate()),
            (None, None)
        );
    }
}
