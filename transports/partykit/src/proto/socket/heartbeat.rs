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
pub(crate) enum Beat {
    /// Nothing before this moment.
    Wait(Duration),
    /// Send a ping, and say so with [`Pulse::ping`].
    Ping,
    /// Give up the connection: nothing was heard for this long.
    Dead(Duration),
}

/// What is known of the life of one connection. Moments are told as time since it opened.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pulse {
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
    pub(crate) fn heard(&mut self, now: Duration) {
        *self = Self { heard: now, ..Self::default() };
    }

    /// The reader waits for a subscriber.
    pub(crate) fn deafened(&mut self) {
        self.deaf = true;
    }

    /// Bytes were written.
    pub(crate) fn wrote(&mut self, now: Duration) {
        if let Ping::Due(moment) = &mut self.ping {
            *moment = now;
        }
    }

    /// Somebody will send a ping.
    pub(crate) fn ping(&mut self, now: Duration) {
        self.ping = Ping::Due(now);
    }

    /// The ping is written.
    pub(crate) fn pinged(&mut self, now: Duration) {
        if self.ping_is_due() {
            self.ping = Ping::Written(now);
        }
    }

    /// Whether a ping waits to be written.
    pub(crate) fn ping_is_due(&self) -> bool {
        matches!(self.ping, Ping::Due(_))
    }

    /// What to do now.
    pub(crate) fn beat(&self, heartbeat: Heartbeat, now: Duration) -> Beat {
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
                if now >= dead_at { Beat::Dead(now.saturating_sub(self.heard)) } else { Beat::Wait(dead_at) }
            }
        }
    }
}
