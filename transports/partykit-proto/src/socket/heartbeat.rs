//! The detection of a dead peer.
//!
//! A connection that has lost its network looks like a quiet one: writes succeed into a buffer and nothing is read. So
//! the socket sends a WebSocket ping on a connection that is quiet for an interval, and treats it as dead when nothing
//! is received in time.
//!
//! Bytes count, not messages: while a large message passes slowly over a slow network, the ping is queued after it, but
//! the peer is alive.

use std::time::Duration;

/// How a socket detects that the server is gone without a close frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// How long a connection may be quiet before the socket sends a ping. Defaults to 10 s.
    pub interval: Duration,
    /// How long the socket waits to receive anything after a ping before it gives up the connection. Defaults to 5 s.
    pub timeout: Duration,
}

impl Heartbeat {
    /// Creates a heartbeat with this interval and timeout.
    pub fn new(interval: Duration, timeout: Duration) -> Self {
        Self { interval, timeout }
    }
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self { interval: Duration::from_secs(10), timeout: Duration::from_secs(5) }
    }
}

/// The next action for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beat {
    /// Do nothing before this moment.
    Wait(Duration),
    /// Send a ping, and call [`Pulse::ping`].
    Ping,
    /// Give up the connection: nothing was received for this long.
    Dead(Duration),
}

/// The liveness of one connection. Moments are durations since the connection opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pulse {
    /// When bytes were last read, or reading resumed.
    heard: Duration,
    ping: Ping,
    /// Whether reading is paused, because a subscriber is slow: silence then proves nothing.
    deaf: bool,
}

/// The progress of the ping that is not answered yet.
#[derive(Clone, Copy, Debug, Default)]
enum Ping {
    #[default]
    None,
    /// The ping is queued after other messages. The moment is when it was requested, or when the writer last wrote some
    /// bytes.
    Due(Duration),
    /// The ping is written. From here on, writing proves nothing: the network may accept bytes for a peer that is gone.
    Written(Duration),
}

impl Pulse {
    /// Records that bytes were read, or that the reader is ready to read again.
    pub fn heard(&mut self, now: Duration) {
        *self = Self { heard: now, ..Self::default() };
    }

    /// Records that the reader is waiting for a subscriber.
    pub fn deafened(&mut self) {
        self.deaf = true;
    }

    /// Records that bytes were written.
    pub fn wrote(&mut self, now: Duration) {
        if let Ping::Due(moment) = &mut self.ping {
            *moment = now;
        }
    }

    /// Records that the caller will send a ping.
    pub fn ping(&mut self, now: Duration) {
        self.ping = Ping::Due(now);
    }

    /// Records that the ping was written.
    pub fn pinged(&mut self, now: Duration) {
        if self.ping_is_due() {
            self.ping = Ping::Written(now);
        }
    }

    /// Whether a ping is waiting to be written.
    pub fn ping_is_due(&self) -> bool {
        matches!(self.ping, Ping::Due(_))
    }

    /// Returns the next action.
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
                // The response may arrive earlier, and then the interval starts over.
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

    /// A pulse whose ping was requested at 10 s.
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
