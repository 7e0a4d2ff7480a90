//! The decision when to try again, and when to stop.

use std::time::Duration;

use super::PartySocketOptions;

/// The number of attempts so far, and of those that the server refused.
///
/// The caller must call [`failed`](Self::failed) or [`ended`](Self::ended) once for each attempt, before the next one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retries {
    count: u32,
    refusals: u32,
}

/// The decision after a failed attempt or an ended connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Try again, after this delay.
    Again(Duration),
    /// Stop: the allowed number of retries has failed.
    OutOfRetries,
    /// Stop: the server refused the allowed number of attempts in a row.
    Refused,
}

impl Retries {
    /// Returns the number of attempts after the first, since the last connection that lasted.
    pub fn count(self) -> u32 {
        self.count
    }

    /// Records a failed attempt, and decides what follows. `random` is from 0 to 1, without 1.
    pub fn failed(&mut self, refused: bool, options: &PartySocketOptions, random: f64) -> Fate {
        self.refusals = if refused { self.refusals.saturating_add(1) } else { 0 };
        if self.refusals >= options.max_refusals.max(1) {
            return Fate::Refused;
        }
        self.again(options, random)
    }

    /// Records the end of a connection that was open for `uptime`, and decides what follows.
    pub fn ended(&mut self, uptime: Duration, options: &PartySocketOptions, random: f64) -> Fate {
        self.refusals = 0;
        if uptime >= options.min_uptime {
            self.count = 0;
        }
        self.again(options, random)
    }

    fn again(&mut self, options: &PartySocketOptions, random: f64) -> Fate {
        if options.max_retries.is_some_and(|max| self.count >= max) {
            return Fate::OutOfRetries;
        }
        self.count = self.count.saturating_add(1);
        let delay = match self.refusals {
            0 => delay(self.count, options),
            _ => options.max_reconnection_delay,
        };
        Fate::Again(jittered(delay, options.jitter, random))
    }
}

/// The delay before the `retry`-th further attempt, without jitter.
fn delay(retry: u32, options: &PartySocketOptions) -> Duration {
    let exponent = i32::try_from(retry.saturating_sub(1)).unwrap_or(i32::MAX);
    let seconds = options.min_reconnection_delay.as_secs_f64() * options.reconnection_delay_grow_factor.powi(exponent);
    // A value that is too large for a duration (or, from 0 times infinity, not a number) is longer than any maximum.
    let delay = Duration::try_from_secs_f64(seconds).unwrap_or(options.max_reconnection_delay);
    delay.min(options.max_reconnection_delay)
}

/// Shortens or lengthens a delay by up to `jitter` of itself.
fn jittered(delay: Duration, jitter: f64, random: f64) -> Duration {
    Duration::try_from_secs_f64(delay.as_secs_f64() * (1.0 + jitter * (2.0 * random - 1.0))).unwrap_or(delay)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIDDLE: f64 = 0.5;

    fn options() -> PartySocketOptions {
        PartySocketOptions::new("localhost", "r")
    }

    fn waits(retries: &mut Retries, options: &PartySocketOptions, count: usize) -> Vec<f64> {
        let failed = |_| match retries.failed(false, options, MIDDLE) {
            Fate::Again(delay) => delay.as_secs_f64(),
            fate => panic!("{fate:?} after failures that may go on"),
        };
        (0..count).map(failed).collect()
    }

    #[test]
    fn waits_grow_as_in_partysocket() {
        let waits = waits(&mut Retries::default(), &options(), 7);
        for (wait, expected) in waits.iter().zip([3.0, 3.9, 5.07, 6.591, 8.5683, 10.0, 10.0]) {
            assert!((wait - expected).abs() < 1e-6, "{wait} is not {expected}");
        }
    }

    #[test]
    fn waits_stay_bounded_after_any_number_of_failures() {
        let mut retries = Retries { count: u32::MAX - 1, refusals: 0 };
        assert_eq!(waits(&mut retries, &options(), 3), [10.0, 10.0, 10.0]);
        let none = options().with_min_reconnection_delay(Duration::ZERO).with_max_reconnection_delay(Duration::MAX);
        assert_eq!(waits(&mut Retries::default(), &none, 2), [0.0, 0.0]);
    }

    #[test]
    fn jitter_moves_a_wait_to_either_side() {
        let wait = |random| Retries::default().failed(false, &options(), random);
        assert_eq!(wait(0.0), Fate::Again(Duration::from_millis(2250)));
        assert_eq!(wait(1.0), Fate::Again(Duration::from_millis(3750)));
        let exact = options().with_jitter(0.0);
        assert_eq!(Retries::default().failed(false, &exact, 0.0), Fate::Again(Duration::from_secs(3)));
    }

    #[test]
    fn waits_start_over_only_after_a_connection_that_lasted() {
        let options = options();
        let mut retries = Retries::default();
        waits(&mut retries, &options, 3);
        let Fate::Again(delay) = retries.ended(Duration::from_secs(4), &options, MIDDLE) else { panic!("ended") };
        assert!(delay > Duration::from_secs(6));
        assert_eq!(retries.count(), 4);
        let fate = retries.ended(Duration::from_secs(5), &options, MIDDLE);
        assert_eq!(fate, Fate::Again(Duration::from_secs(3)));
        assert_eq!(retries.count(), 1);
    }

    #[test]
    fn max_retries_attempts_follow_the_first() {
        let options = options().with_max_retries(2);
        let mut retries = Retries::default();
        waits(&mut retries, &options, 2);
        assert_eq!(retries.failed(false, &options, MIDDLE), Fate::OutOfRetries);
        let mut none = Retries::default();
        assert_eq!(none.failed(false, &options.with_max_retries(0), MIDDLE), Fate::OutOfRetries);
    }

    #[test]
    fn refusals_in_a_row_end_the_attempts_and_others_do_not() {
        let options = options();
        let mut retries = Retries::default();
        let slow = Fate::Again(Duration::from_secs(10));
        assert_eq!(retries.failed(true, &options, MIDDLE), slow);
        assert_eq!(retries.failed(true, &options, MIDDLE), slow);
        assert!(matches!(retries.failed(false, &options, MIDDLE), Fate::Again(_)));
        assert_eq!(retries.failed(true, &options, MIDDLE), slow);
        assert_eq!(retries.failed(true, &options, MIDDLE), slow);
        assert_eq!(retries.failed(true, &options, MIDDLE), Fate::Refused);
    }
}
