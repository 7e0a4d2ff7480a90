//! Frames of the extended dialect: a prefix, the letter `r`, and a JSON array.
//!
//! `PROTOCOL.md`, next to this crate's sources, specifies their meaning. This module has their form.

use std::sync::Arc;

use roommate::{Changes, Content, Decoded, Result};

mod decode;
pub(super) mod encode;

/// The response header by which a server announces the dialect, in lower case.
pub const DIALECT_HEADER: &str = "roommate-dialect";
/// The value of [`DIALECT_HEADER`]: the version.
pub const DIALECT_VERSION: &str = "1";
/// The query parameter, with the value [`DIALECT_VERSION`], by which a client requests the dialect on its connection.
pub const DIALECT_PARAMETER: &str = "roommate";

/// The request header, in lower case, by which a client names the last of its changes that a room's first content
/// includes. Its value is an encoded [`Offer`].
pub const OFFER_HEADER: &str = "roommate-change";

/// The close code for a frame of the dialect that is malformed or not allowed at that point.
pub const MALFORMED: u16 = 4400;
/// The close code for a connection whose client has since joined on another connection.
pub const REPLACED: u16 = 4409;
/// The close code for a client that has too many refused changes which it has not acknowledged.
pub const UNACKNOWLEDGED: u16 = 4429;

/// The largest sequence number and the largest id of a change: JavaScript's `Number.MAX_SAFE_INTEGER`.
pub const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;
/// The largest length of a client id, in bytes.
pub const MAX_CLIENT_ID: usize = 64;

/// Writes and reads the text frames that a Roommate client and a Roommate server exchange in addition to those of
/// [`Wire`].
///
/// Text that is not a frame of the dialect decodes to `None`: it is a frame of [`Wire`] or of another application. A
/// malformed frame of the dialect decodes to an error of kind [`Corrupt`](roommate::ErrorKind::Corrupt).
///
/// [`Wire`]: super::Wire
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dialect {
    prefix: Arc<str>,
}

/// A message from a client to a server.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientMessage {
    /// The first frame on a connection.
    Join(Join),
    /// A change that the client requests.
    Change {
        /// The change's id, from 1 to [`MAX_SAFE_INTEGER`]. It is larger than the id of any earlier change of this
        /// client.
        id: u64,
        /// The requested changes.
        changes: Changes,
    },
    /// The client knows the outcome of its changes up to this id.
    Ack(u64),
}

/// A message from a server to a client.
#[derive(Clone, Debug, PartialEq)]
pub enum ServerMessage {
    /// The response to [`Join`] that contains what the client missed.
    Resumed {
        /// The state of the room and of the client, after the entries.
        standing: Standing,
        /// The missed entries, in order.
        entries: Vec<Entry>,
    },
    /// The response to [`Join`], or the replacement for missed entries, that contains everything.
    Snapshot {
        /// The state of the room and of the client.
        standing: Standing,
        /// The refused parts of the client's changes after those whose outcome it knows, in the order of their ids.
        refused: Vec<(u64, Changes)>,
        /// The room's content; `None` if the room has no store.
        content: Option<Content>,
    },
    /// The next entry of the room's order.
    Entry(Entry),
}

/// A client's request to receive the room's events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    /// The client's id, of 1 to [`MAX_CLIENT_ID`] bytes.
    pub client: Arc<str>,
    /// The position up to which the client has processed the room's order; `None` if it knows nothing.
    pub at: Option<Position>,
    /// The client knows the outcome of its changes up to this id; 0 for none.
    pub decided: u64,
}

/// Identifies the changes of a client that a first content includes: all up to one id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The client's id, as in [`Join`].
    pub client: Arc<str>,
    /// The id of the last included change, from 1 to [`MAX_SAFE_INTEGER`].
    pub id: u64,
}

/// A point in a room's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The order that `seq` counts in. Each time a server opens a room, it begins a new epoch.
    pub epoch: Arc<str>,
    /// The number of entries so far.
    pub seq: u64,
}

/// The state of the room and of the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The room's position.
    pub position: Position,
    /// Every change of the client with an id up to this one is decided; `None` if the server does not know the client.
    pub last: Option<u64>,
}

/// One entry of a room's order.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// Changes of another author were accepted.
    Changed {
        /// The place in the room's order.
        seq: u64,
        /// The accepted changes.
        changes: Changes,
    },
    /// A change of the client's own was decided.
    Accepted {
        /// The position in the room's order. If nothing of the change was accepted, the position of the entry before
        /// it.
        seq: u64,
        /// The id of the change.
        id: u64,
        /// The refused parts of the change; empty if nothing was refused.
        refused: Changes,
    },
    /// The room's store was created.
    Created {
        /// The position in the room's order.
        seq: u64,
        /// The content of the store.
        content: Content,
    },
}

/// The frame type of the dialect.
const ROOMMATE: char = 'r';

impl Dialect {
    /// Creates the dialect of peers whose `messagePrefix` is `prefix`.
    pub fn new(prefix: impl Into<Arc<str>>) -> Self {
        Self { prefix: prefix.into() }
    }

    /// Encodes a client's message as a frame.
    pub fn encode_client(&self, message: &ClientMessage) -> String {
        self.frame(&match message {
            ClientMessage::Join(join) => encode::join(join),
            ClientMessage::Change { id, changes } => encode::change(*id, changes),
            ClientMessage::Ack(id) => encode::ack(*id),
        })
    }

    /// Encodes a [`ClientMessage::Change`] as a frame, from borrowed changes.
    pub fn encode_change(&self, id: u64, changes: &Changes) -> String {
        self.frame(&encode::change(id, changes))
    }

    /// Encodes a server's message as a frame.
    pub fn encode_server(&self, message: &ServerMessage) -> String {
        self.frame(&match message {
            ServerMessage::Resumed { standing, entries } => {
                encode::resumed(standing, entries.iter().map(encode::entry))
            }
            ServerMessage::Snapshot { standing, refused, content } => {
                let refused = refused.iter().map(|(id, changes)| (*id, changes.to_json()));
                encode::snapshot(standing, refused, content.as_ref().map(Content::to_json).as_deref())
            }
            ServerMessage::Entry(entry) => encode::entry(entry),
        })
    }

    /// Decodes a frame that a server received.
    pub fn decode_client(&self, frame: &str) -> Option<Result<Decoded<ClientMessage>>> {
        self.payload(frame).map(decode::client)
    }

    /// Decodes a frame that a client received.
    pub fn decode_server(&self, frame: &str) -> Option<Result<Decoded<ServerMessage>>> {
        self.payload(frame).map(decode::server)
    }

    /// The frame of a message that is JSON already.
    pub(super) fn frame(&self, message: &str) -> String {
        let mut frame = String::with_capacity(self.prefix.len() + ROOMMATE.len_utf8() + message.len());
        frame.push_str(&self.prefix);
        frame.push(ROOMMATE);
        frame.push_str(message);
        frame
    }

    fn payload<'a>(&self, frame: &'a str) -> Option<&'a str> {
        frame.strip_prefix(&*self.prefix)?.strip_prefix(ROOMMATE)
    }
}

impl Offer {
    /// Returns the value of [`OFFER_HEADER`], in ASCII.
    pub fn encode(&self) -> String {
        encode::offer(self)
    }

    /// Decodes the value of [`OFFER_HEADER`]. Fails with an error of kind [`Corrupt`](roommate::ErrorKind::Corrupt) if
    /// the value is malformed.
    pub fn decode(header: &str) -> Result<Self> {
        decode::offer(header)
    }
}

impl Entry {
    /// Returns the entry's position in the room's order.
    pub fn seq(&self) -> u64 {
        match self {
            Self::Changed { seq, .. } | Self::Accepted { seq, .. } | Self::Created { seq, .. } => *seq,
        }
    }
}

#[cfg(test)]
mod tests;
