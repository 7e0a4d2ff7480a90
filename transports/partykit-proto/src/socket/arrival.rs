//! Whether a message is on its way in, long before it has arrived.

use std::time::Duration;

/// When bytes came of a message that was not whole with them. Moments are told as time since the connection opened.
///
/// A message that comes at one stroke, as the answer to a ping does, never shows here: it says nothing of one that is awaited.
#[derive(Clone, Copy, Debug, Default)]
pub struct Arrival {
    /// When bytes came that may have made a message whole.
    came: Option<Duration>,
    /// When bytes came that did not.
    last: Option<Duration>,
}

impl Arrival {
    /// Bytes were read.
    pub fn came(&mut self, now: Duration) {
        self.last = self.came.replace(now).or(self.last);
    }

    /// Those that were read last made a message whole.
    pub fn is_whole(&mut self) {
        self.came = None;
    }

    /// When the last bytes came of a message that was not whole with them.
    pub fn last(&self) -> Option<Duration> {
        self.came.or(self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn what_comes_at_one_stroke_is_not_awaited_for_longer() {
        let mut arrival = Arrival::default();
        assert_eq!(arrival.last(), None);
        for second in 0..9 {
            arrival.came(at(second));
            arrival.is_whole();
            assert_eq!(arrival.last(), None);
        }
    }

    #[test]
    fn what_trickles_in_shows_until_the_last_bytes_but_one() {
        let mut arrival = Arrival::default();
        for second in 1..9 {
            arrival.came(at(second));
            assert_eq!(arrival.last(), Some(at(second)));
        }
        arrival.is_whole();
        assert_eq!(arrival.last(), Some(at(7)));
        arrival.came(at(10));
        arrival.is_whole();
        assert_eq!(arrival.last(), Some(at(7)), "a message that comes at one stroke behind it changes nothing");
    }
}
