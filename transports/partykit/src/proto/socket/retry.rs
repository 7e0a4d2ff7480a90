//! When to try again, and when no more.

use std::time::Duration;

use super::PartySocketOptions;

/// How many attempts there were, and how many of them the server refused.
///
/// The law: [`failed`](Self::failed) or [`ended`](Self::ended) once for each attempt, before the next one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Retries {
    count: u32,
    refusals: u32,
}

/// What follows a failed attempt or an ended connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Another attempt, after a wait.
    Again(Duration),
    /// No more: as many retries as are allowed have failed.
    OutOfRetries,
    /// No more: the server refused as often in a row as is allowed.
    Refused,
}

impl Retries {
    /// How many attempts followed the first, since the last connection that lasted.
    pub(crate) fn count(self) -> u32 {
        self.count
    }

    /// An attempt failed. `random` is from 0 to 1, without 1.
    pub(crate) fn failed(&mut self, refused: bool, options: &PartySocketOptions, random: f64) -> Fate {
        self.refusals = if refused { self.refusals.saturating_add(1) } else { 0 };
        if self.refusals >= options.max_refusals.max(1) {
            return Fate::Refused;
        }
        self.again(options, random)
    }

    /// A connection that was open for `uptime` ended.
    pub(crate) fn ended(&mut self, uptime: Duration, options: &PartySocketOptions, random: f64) -> Fate {
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

/// The wait before the `retry`-th further attempt, without jitter.
fn delay(retry: u32, options: &PartySocketOptions) -> Duration {
    let exponent = i32::try_from(retry.saturating_sub(1)).unwrap_or(i32::MAX);
    let seconds = options.min_reconnection_delay.as_secs_f64() * options.reconnection_delay_grow_factor.powi(exponent);
    // Too large for a duration (or, from 0 times infinity, not a number) is longer than any maximum.
    let delay = Duration::try_from_secs_f64(seconds).unwrap_or(options.max_reconnection_delay);
    delay.min(options.max_reconnection_delay)
}

/// Moves a wait by up to `jitter` of itself, to either side.
fn jittered(delay: Duration, jitter: f64, random: f64) -> Duration {
    Duration::try_from_secs_f64(delay.as_secs_f64() * (1.0 + jitter * (2.0 * random - 1.0))).unwrap_or(delay)
}
