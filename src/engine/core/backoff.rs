//! The delays before retries.

use std::time::Duration;

/// Delays that double from a minimum to a maximum. Each is shortened at random by up to a half, so that clients that
/// lost a backend together do not all come back to it at once.
#[derive(Debug)]
pub(crate) struct Backoff {
    min: Duration,
    max: Duration,
    failures: u32,
    waiting: bool,
    random: u64,
}

impl Backoff {
    pub(crate) fn new(min: Duration, max: Duration, seed: u64) -> Self {
        // xorshift needs a state that is not zero.
        Self { min, max, failures: 0, waiting: false, random: seed | 1 }
    }

    /// Returns how long to wait after a failure.
    pub(crate) fn wait(&mut self) -> Duration {
        let delay = self.min.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX)).min(self.max);
        self.failures = (self.failures + 1).min(31);
        self.waiting = true;
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        delay.mul_f64(0.5 + (self.random % 1024) as f64 / 2048.0)
    }

    /// The delay has passed.
    pub(crate) fn waited(&mut self) {
        self.waiting = false;
    }

    /// Something succeeded: the next delay is the shortest again.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
        self.waiting = false;
    }

    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_maximum_and_are_shortened_by_at_most_a_half() {
        let (min, max) = (Duration::from_millis(100), Duration::from_secs(30));
        let mut backoff = Backoff::new(min, max, 7);
        for attempt in 0..100_u32 {
            let full = min.saturating_mul(1 << attempt.min(20)).min(max);
            let delay = backoff.wait();
            assert!(full / 2 <= delay && delay <= full, "attempt {attempt}: {delay:?} of {full:?}");
        }
        backoff.reset();
        assert!(backoff.wait() <= min);
    }
}
