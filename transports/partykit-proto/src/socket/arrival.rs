//! The detection of a message that is arriving but is still incomplete.

use std::time::Duration;

/// When bytes of an incomplete message were last received. Moments are durations since the connection opened.
///
/// A message that arrives in one piece, as a pong does, never shows here: it says nothing about another message that is
/// awaited.
#[derive(Clone, Copy, Debug, Default)]
pub struct Arrival {
    /// When bytes were received that may have completed a message.
    came: Option<Duration>,
    /// When bytes were received that did not complete a message.
    last: Option<Duration>,
}

impl Arrival {
    /// Records that bytes were read.
    pub fn came(&mut self, now: Duration) {
        self.last = self.came.replace(now).or(self.last);
    }

    /// Records that the last bytes read completed a message.
    pub fn is_whole(&mut self) {
        self.came = None;
    }

    /// Returns when bytes of an incomplete message were last received.
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
