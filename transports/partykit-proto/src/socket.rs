//! The deciding half of `PartySocket`: options, URLs, when to try again, whether the peer lives.

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

/// One WebSocket message, cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Message {
    /// A text, which TinyBase's messages all are.
    Text(Arc<str>),
    /// Bytes.
    Binary(Bytes),
}

impl Message {
    /// How many bytes the message has on the wire, without its frame.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Whether there is nothing in it.
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

/// What a socket is doing, in the words of the WebSocket interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReadyState {
    /// It connects, or waits to try again. What is sent now is queued.
    Connecting,
    /// It is connected.
    Open,
    /// It was told to close and says goodbye to the server.
    Closing,
    /// It was closed, never started, or has given up. Only `reconnect` opens it again.
    Closed,
}

/// What became of a message that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SendOutcome {
    /// The socket is open and writes the message behind those before it.
    ///
    /// Not that it arrived: WebSockets acknowledge nothing.
    Handed,
    /// The socket is not open. It writes the message once it is.
    Queued,
}

/// What a socket tells its subscribers, in the order in which it happened.
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
    /// The server answered a `PartySocket::ping` with this payload, on the connection that was opened last.
    Pong(Bytes),
    /// The connection ended. Each `Open` has one `Close`, and a connection that never opened has none.
    Close {
        /// The close code: the server's, the one given to `close`, or 1006 when the connection just broke.
        code: u16,
        /// What was said beside the code; often empty.
        reason: String,
        /// The connection that ended.
        epoch: u64,
    },
    /// Something failed: an attempt to connect, or an open connection, whose `Close` then comes next.
    ///
    /// The socket goes on trying unless its ready state is [`ReadyState::Closed`].
    Error(Error),
}
