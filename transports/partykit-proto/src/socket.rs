//! The decisions of `PartySocket`: options, URLs, when to retry, whether the peer is alive.

mod arrival;
mod heartbeat;
mod options;
mod outgoing;
mod query;
mod retry;
mod state;
mod url;

use std::sync::Arc;

use bytes::Bytes;
use roommate::Error;

pub use self::retry::{Fate, Retries};
pub use self::{
    arrival::Arrival,
    outgoing::Waiting,
    state::{Goodbye, Target},
    url::uuid_v4,
};
pub use self::{
    heartbeat::Heartbeat,
    options::{PartySocketOptions, SocketProtocol},
    query::{Query, QueryPairs, QueryValue},
};
pub use self::{
    heartbeat::{Beat, Pulse},
    state::{Next, State},
};

/// The close code of a connection that broke without a close frame: RFC 6455, 7.4.1. It is never sent.
pub const ABNORMAL: u16 = 1006;

/// One WebSocket message, cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Message {
    /// Text. All of TinyBase's messages are text.
    Text(Arc<str>),
    /// Bytes.
    Binary(Bytes),
}

impl Message {
    /// Returns the size of the message in bytes, without its frame.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Whether the message is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<Arc<str>> for Message {
    fn from(text: Arc<str>) -> Self {
        Self::Text(text)
    }
}

impl From<Bytes> for Message {
    fn from(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }
}

impl From<Vec<u8>> for Message {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes.into())
    }
}

/// The state of a socket, with the names of the WebSocket interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReadyState {
    /// The socket connects, or waits to try again. Messages that are sent now are queued.
    Connecting,
    /// The socket is connected.
    Open,
    /// The socket was closed by the application, and waits for the server's close frame.
    Closing,
    /// The socket was closed, never started, or has given up. Only `reconnect` opens it again.
    Closed,
}

/// The outcome of sending a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SendOutcome {
    /// The socket is open and writes the message after those before it.
    ///
    /// This does not mean that the message arrived: WebSockets acknowledge nothing.
    Handed,
    /// The socket is not open. It writes the message once it opens.
    Queued,
}

/// An event of a socket. Subscribers receive events in the order in which they happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SocketEvent {
    /// The socket is connected, for the `epoch`-th time.
    Open {
        /// Counts the connections of this socket from 1.
        epoch: u64,
    },
    /// The server sent a message, on the connection that was opened last.
    Message(Message),
    /// The server responded to a `PartySocket::ping` with this payload, on the connection that was opened last.
    Pong(Bytes),
    /// The connection ended. Each `Open` has one `Close`, and a connection that never opened has none.
    Close {
        /// The close code: the server's, the one given to `close`, or [`ABNORMAL`] when the connection broke without a close
        /// frame.
        code: u16,
        /// The close reason; often empty.
        reason: String,
        /// The connection that ended.
        epoch: u64,
    },
    /// Something failed: an attempt to connect, or an open connection, whose `Close` then comes next.
    ///
    /// The socket retries unless its ready state is [`ReadyState::Closed`].
    Error(Error),
}
