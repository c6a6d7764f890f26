//! Growing, jittered pauses, so that a returning server is not met by everybody at once.

use std::time::Duration;

/// Doubles from `base` to `max` with each failure in a row.
#[derive(Debug)]
pub(crate) struct Backoff {
    base: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    pub(crate) const fn new(base: Duration, max: Duration) -> Self {
        Self {
            base,
            max,
            failures: 0,
        }
    }

    /// Between two attempts to reach a server that is away.
    pub(crate) const fn reconnecting() -> Self {
        const RECONNECT_BASE_MILLISECONDS: u64 = 100;
        const RECONNECT_MAX_MILLISECONDS: u64 = 2_000;
        Self::new(
            Duration::from_millis(RECONNECT_BASE_MILLISECONDS),
            Duration::from_millis(RECONNECT_MAX_MILLISECONDS),
        )
    }

    pub(crate) fn next_pause(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        pause(self.failures, self.base, self.max)
    }

    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

/// The pause after the given number of failures (1 = the first): between half and all of
/// `base * 2^(failures - 1)`, at most `max`.
pub(crate) fn pause(failures: u32, base: Duration, max: Duration) -> Duration {
    const DOUBLINGS_MAX: u32 = 20;
    let doublings = failures.saturating_sub(1).min(DOUBLINGS_MAX);
    base.saturating_mul(1 << doublings)
        .min(max)
        .mul_f64(rand::random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Duration = Duration::from_millis(100);
    const MAX: Duration = Duration::from_secs(2);

    #[test]
    fn pauses_double_up_to_their_maximum_and_start_over_after_a_success() {
        let mut backoff = Backoff::new(BASE, MAX);
        assert!(backoff.next_pause() <= BASE);
        let second = backoff.next_pause();
        assert!(second >= BASE && second <= BASE * 2);
        let last = (0..100).map(|_| backoff.next_pause()).last();
        assert!(last.is_some_and(|pause| pause >= MAX / 2 && pause <= MAX));
        backoff.reset();
        assert!(backoff.next_pause() <= BASE);
    }
}
