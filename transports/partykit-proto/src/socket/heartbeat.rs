//! Whether the other end still lives.
//!
//! A connection whose network vanished looks like a quiet one: writes succeed into a buffer and nothing is read. So a
//! connection that is quiet for an interval is sent a WebSocket ping, and is dead when nothing comes back in time.
//!
//! What counts is bytes, not messages: while a large message trickles in or out over a slow network, the ping waits
//! behind it and the peer is alive all the same.

use std::time::Duration;

/// How a socket finds out that the server is gone without a goodbye.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// How long a connection may be quiet before it is sent a ping. 10 s by default.
    pub interval: Duration,
    /// How long nothing may come back after a ping before the connection is given up. 5 s by default.
    pub timeout: Duration,
}

impl Heartbeat {
    /// A heartbeat of this interval and timeout.
    pub fn new(interval: Duration, timeout: Duration) -> Self {
        Self { interval, timeout }
    }
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self { interval: Duration::from_secs(10), timeout: Duration::from_secs(5) }
    }
}

/// What to do about a connection now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beat {
    /// Nothing before this moment.
    Wait(Duration),
    /// Send a ping, and say so with [`Pulse::ping`].
    Ping,
    /// Give up the connection: nothing was heard for this long.
    Dead(Duration),
}

/// What is known of the life of one connection. Moments are told as time since it opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pulse {
    /// When something was read, or reading resumed.
    heard: Duration,
    ping: Ping,
    /// Whether nobody reads just now, because a subscriber is slow: silence then proves nothing.
    deaf: bool,
}

/// How far the ping has come that nothing answered yet.
#[derive(Clone, Copy, Debug, Default)]
enum Ping {
    #[default]
    None,
    /// It waits behind other messages. The moment is when it was asked for, or the writer last got some bytes out.
    Due(Duration),
    /// It is written. From here on, writing proves nothing: the network may take bytes for a peer that is gone.
    Written(Duration),
}

impl Pulse {
    /// Bytes were read, or the reader is ready to read again.
    pub fn heard(&mut self, now: Duration) {
        *self = Self { heard: now, ..Self::default() };
    }

    /// The reader waits for a subscriber.
    pub fn deafened(&mut self) {
        self.deaf = true;
    }

    /// Bytes were written.
    pub fn wrote(&mut self, now: Duration) {
        if let Ping::Due(moment) = &mut self.ping {
            *moment = now;
        }
    }

    /// Somebody will send a ping.
    pub fn ping(&mut self, now: Duration) {
        self.ping = Ping::Due(now);
    }

    /// The ping is written.
    pub fn pinged(&mut self, now: Duration) {
        if self.ping_is_due() {
            self.ping = Ping::Written(now);
        }
    }

    /// Whether a ping waits to be written.
    pub fn ping_is_due(&self) -> bool {
        matches!(self.ping, Ping::Due(_))
    }

    /// What to do now.
    pub fn beat(&self, heartbeat: Heartbeat, now: Duration) -> Beat {
        if self.deaf {
            return Beat::Wait(now.saturating_add(heartbeat.interval));
        }
        match self.ping {
            Ping::None => {
                let ping_at = self.heard.saturating_add(heartbeat.interval);
                if now >= ping_at { Beat::Ping } else { Beat::Wait(ping_at) }
            }
            Ping::Due(since) | Ping::Written(since) => {
                let dead_at = since.saturating_add(heartbeat.timeout);
                if now >= dead_at {
                    return Beat::Dead(now.saturating_sub(self.heard));
                }
                // The answer may come before, and then the interval starts over.
                Beat::Wait(dead_at.min(now.saturating_add(heartbeat.interval)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEARTBEAT: Heartbeat = Heartbeat { interval: Duration::from_secs(10), timeout: Duration::from_secs(5) };

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// A pulse whose ping was asked for at 10 s.
    fn asked() -> Pulse {
        let mut pulse = Pulse::default();
        assert_eq!(pulse.beat(HEARTBEAT, at(9)), Beat::Wait(at(10)));
        assert_eq!(pulse.beat(HEARTBEAT, at(10)), Beat::Ping);
        pulse.ping(at(10));
        pulse
    }

    #[test]
    fn a_quiet_peer_is_pinged_and_lives_when_it_answers() {
        let mut pulse = asked();
        assert!(pulse.ping_is_due());
        pulse.pinged(at(11));
        assert!(!pulse.ping_is_due());
        assert_eq!(pulse.beat(HEARTBEAT, at(15)), Beat::Wait(at(16)));
        pulse.heard(at(15));
        assert_eq!(pulse.beat(HEARTBEAT, at(16)), Beat::Wait(at(25)));
    }

    #[test]
    fn a_peer_that_answers_no_ping_is_dead() {
        let mut pulse = asked();
        pulse.pinged(at(11));
        assert_eq!(pulse.beat(HEARTBEAT, at(16)), Beat::Dead(at(16)));
    }

    #[test]
    fn what_the_network_takes_after_the_ping_keeps_no_dead_peer_alive() {
        let mut pulse = asked();
        pulse.pinged(at(11));
        pulse.wrote(at(15));
        assert_eq!(pulse.beat(HEARTBEAT, at(16)), Beat::Dead(at(16)));
    }

    #[test]
    fn a_ping_may_wait_behind_a_large_message_while_that_moves() {
        let mut pulse = asked();
        for second in 11..60 {
            pulse.wrote(at(second));
            assert_eq!(pulse.beat(HEARTBEAT, at(second)), Beat::Wait(at(second + 5)));
        }
        assert_eq!(pulse.beat(HEARTBEAT, at(64)), Beat::Dead(at(64)));
    }

    #[test]
    fn a_long_timeout_does_not_hold_up_the_next_ping() {
        let patient = Heartbeat::new(at(10), at(60));
        assert_eq!(asked().beat(patient, at(10)), Beat::Wait(at(20)));
    }

    #[test]
    fn silence_proves_nothing_while_nobody_listens() {
        let mut pulse = asked();
        pulse.pinged(at(11));
        pulse.deafened();
        assert_eq!(pulse.beat(HEARTBEAT, at(100)), Beat::Wait(at(110)));
        pulse.heard(at(120));
        assert_eq!(pulse.beat(HEARTBEAT, at(121)), Beat::Wait(at(130)));
    }
}
