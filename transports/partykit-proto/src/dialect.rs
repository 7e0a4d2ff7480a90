//! Frames of the extended dialect: a prefix, the letter `r`, and a JSON array.
//!
//! `PROTOCOL.md`, next to this crate's sources, says what they mean; here is what they are.

use std::sync::Arc;

use roommate::{Changes, Content, Decoded, Result};

mod decode;
pub(super) mod encode;

/// The header by which a server says that it speaks the dialect, in lower case.
pub const DIALECT_HEADER: &str = "roommate-dialect";
/// What [`DIALECT_HEADER`] says: the version.
pub const DIALECT_VERSION: &str = "1";
/// The query parameter, worth [`DIALECT_VERSION`], by which a client asks for the dialect on its connection.
pub const DIALECT_PARAMETER: &str = "roommate";

/// The header, in lower case, by which a client names the last change that a room's first content has. What it says is
/// [`Offer`]'s.
pub const OFFER_HEADER: &str = "roommate-change";

/// The close code for a frame of the dialect that is malformed or out of place.
pub const MALFORMED: u16 = 4400;
/// The close code for a connection whose client has joined by another one since.
pub const REPLACED: u16 = 4409;
/// The close code for a client of which too much was refused without its acknowledging that.
pub const UNACKNOWLEDGED: u16 = 4429;

/// The largest sequence number and the largest id of a change: JavaScript's `Number.MAX_SAFE_INTEGER`.
pub const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;
/// How many bytes the id of a client has at most.
pub const MAX_CLIENT_ID: usize = 64;

/// Writes and reads the text frames that a Roommate client and a Roommate server exchange beside those of [`Wire`].
///
/// What is not a frame of the dialect reads as `None`: it is [`Wire`]'s, or somebody else's. A frame of the dialect that
/// is malformed reads as an error of kind [`Corrupt`](roommate::ErrorKind::Corrupt).
///
/// [`Wire`]: super::Wire
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dialect {
    prefix: Arc<str>,
}

/// What a client says.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientMessage {
    /// The first frame on a connection.
    Join(Join),
    /// A change that the client asks for.
    Change {
        /// Its id, from 1 to [`MAX_SAFE_INTEGER`]; larger than that of any change of this client before it.
        id: u64,
        /// What is to change.
        changes: Changes,
    },
    /// The client knows the fate of its changes up to this id.
    Ack(u64),
}

/// What a server says.
#[derive(Clone, Debug, PartialEq)]
pub enum ServerMessage {
    /// The answer to [`Join`] that tells what was missed.
    Resumed {
        /// Where the room and the client stand, with the entries taken in.
        standing: Standing,
        /// What was missed, in order.
        entries: Vec<Entry>,
    },
    /// The answer to [`Join`], or what stands in for missed entries, that tells everything.
    Snapshot {
        /// Where the room and the client stand.
        standing: Standing,
        /// What was refused of the client's changes beyond those whose fate it knows, in the order of their ids.
        refused: Vec<(u64, Changes)>,
        /// What the room holds; `None` if it has no store.
        content: Option<Content>,
    },
    /// One more thing that happened.
    Entry(Entry),
}

/// A client's request to be told what happens in the room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    /// Who it is: from 1 to [`MAX_CLIENT_ID`] bytes.
    pub client: Arc<str>,
    /// Up to where it has taken in what happened; `None` if it knows nothing.
    pub at: Option<Position>,
    /// It knows the fate of its changes up to this id; 0 for none.
    pub decided: u64,
}

/// Which of a client's changes a first content has: all up to one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Who it is, as in [`Join`].
    pub client: Arc<str>,
    /// Up to which id: from 1 to [`MAX_SAFE_INTEGER`].
    pub id: u64,
}

/// A point in a room's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Which order: each time that a server takes a room up has one of its own.
    pub epoch: Arc<str>,
    /// How much has happened.
    pub seq: u64,
}

/// Where the room and the client stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// How far the room has come.
    pub position: Position,
    /// Every change of the client with an id up to this is decided; `None` if the server does not know the client.
    pub last: Option<u64>,
}

/// One thing that happened in a room.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// Somebody's changes were accepted.
    Changed {
        /// The place in the room's order.
        seq: u64,
        /// What was accepted.
        changes: Changes,
    },
    /// A change of the client's own was decided.
    Accepted {
        /// The place in the room's order; where nothing of it was accepted, the place of what came before.
        seq: u64,
        /// Which change.
        id: u64,
        /// What of it was refused; empty if nothing was.
        refused: Changes,
    },
    /// The room's store was made.
    Created {
        /// The place in the room's order.
        seq: u64,
        /// What it holds.
        content: Content,
    },
}

/// The frame type of the dialect.
const ROOMMATE: char = 'r';

impl Dialect {
    /// The dialect of peers whose `messagePrefix` is `prefix`.
    pub fn new(prefix: impl Into<Arc<str>>) -> Self {
        Self { prefix: prefix.into() }
    }

    /// The frame in which a client says `message`.
    pub fn encode_client(&self, message: &ClientMessage) -> String {
        self.frame(&match message {
            ClientMessage::Join(join) => encode::join(join),
            ClientMessage::Change { id, changes } => encode::change(*id, changes),
            ClientMessage::Ack(id) => encode::ack(*id),
        })
    }

    /// The frame of [`ClientMessage::Change`], without taking the changes.
    pub fn encode_change(&self, id: u64, changes: &Changes) -> String {
        self.frame(&encode::change(id, changes))
    }

    /// The frame in which a server says `message`.
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

    /// What a server takes from `frame`.
    pub fn decode_client(&self, frame: &str) -> Option<Result<Decoded<ClientMessage>>> {
        self.payload(frame).map(decode::client)
    }

    /// What a client takes from `frame`.
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
    /// What [`OFFER_HEADER`] says, in ASCII.
    pub fn encode(&self) -> String {
        encode::offer(self)
    }

    /// What is meant by [`OFFER_HEADER`]; an error of kind [`Corrupt`](roommate::ErrorKind::Corrupt) if nothing is.
    pub fn decode(header: &str) -> Result<Self> {
        decode::offer(header)
    }
}

impl Entry {
    /// Its place in the room's order.
    pub fn seq(&self) -> u64 {
        match self {
            Self::Changed { seq, .. } | Self::Accepted { seq, .. } | Self::Created { seq, .. } => *seq,
        }
    }
}

#[cfg(test)]
mod tests;
