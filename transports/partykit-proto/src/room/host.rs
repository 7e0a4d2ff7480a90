//! What a host hands a room, and what the room has it do.

use std::sync::Arc;

use roommate::{Changes, Content};

use super::Audience;
use crate::{
    http::Response,
    policy::{ConnectionId, Context},
    record::Record,
    shared_str::SharedStr,
    snapshot::Snapshot,
    storage::StoredCommit,
};

/// Names one HTTP request until it is answered. Chosen by the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// What happens to a room.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// A connection is opened. It is in the room from now on, and sent what happens, so the host hands this in before it
    /// answers the client that the connection is open.
    ///
    /// The room trusts the host: the policy was asked before, by [`RoomConfig::admit_connection`].
    ///
    /// [`RoomConfig::admit_connection`]: super::RoomConfig::admit_connection
    Connect {
        /// The new connection.
        connection: ConnectionId,
        /// The request that opens it, with what the policy attached to it.
        context: Context,
    },
    /// A connection ended. One that is not in the room is no error.
    Close {
        /// Which.
        connection: ConnectionId,
    },
    /// A text message arrived. One by a connection that is not in the room is ignored.
    Message {
        /// From whom.
        connection: ConnectionId,
        /// The whole frame.
        text: &'a str,
    },
    /// The answer to a ping arrived: whatever was sent before [`Output::Ping`] had reached the other end by then. One that
    /// does not belong to the last ping is ignored.
    Pong {
        /// By whom.
        connection: ConnectionId,
        /// What the ping carried.
        token: u64,
    },
    /// Some time has passed: as much as a page may take for what has reached it, and the answer to a request for its
    /// way, a few seconds. Hand this in from time to time while [`Room::wants_ticks`](super::Room::wants_ticks). A room
    /// without ticks tells authors more than they need, and does not set right those stock clients that load late.
    Tick,
    /// The queue of a connection is full: a frame that was for it is not queued, and none must be until it has
    /// [caught up](Self::CaughtUp). One that cannot is closed.
    Behind {
        /// Which.
        connection: ConnectionId,
    },
    /// A connection that was [behind](Self::Behind) has read what was queued for it. It is told everything now, in place
    /// of what it missed.
    CaughtUp {
        /// Which.
        connection: ConnectionId,
    },
    /// An HTTP request arrived. Exactly one [`Output::Respond`] follows.
    ///
    /// The room trusts the host: the policy was asked before, by [`RoomConfig::admit_request`].
    ///
    /// [`RoomConfig::admit_request`]: super::RoomConfig::admit_request
    Request {
        /// The name that the answer will carry.
        request: RequestId,
        /// The request.
        context: Context,
        /// Its body.
        body: &'a [u8],
    },
    /// The program that hosts the room edits it. The policy is not asked. Exactly one [`Output::Edited`] follows.
    Edit {
        /// The name that the answer will carry.
        request: RequestId,
        /// The author that the record names, if any.
        author: Option<Arc<str>>,
        /// The author's number for the edit, higher than all before, if the room is to take it once however often it is handed
        /// in (R7). For that the room has to speak the extended dialect, whose memory of clients it uses.
        change: Option<u64>,
        /// What to do.
        edit: Edit<'a>,
    },
    /// The program that hosts the room reads it. Exactly one [`Output::Read`] follows.
    Read {
        /// The name that the answer will carry.
        request: RequestId,
    },
    /// What [`Output::Recall`] asked for; empty if storage could not read it.
    Recalled {
        /// Whose.
        connection: ConnectionId,
        /// The commits, oldest first.
        commits: &'a [StoredCommit],
    },
    /// The snapshot of [`Output::Snapshot`] is stored in so many bytes, or could not be stored.
    SnapshotEnded {
        /// The length of its stored form.
        bytes: Option<usize>,
    },
}

/// An edit by the program that hosts the room.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Edit<'a> {
    /// Apply these changes. They make the store if there is none and they set something.
    Apply(&'a Changes),
    /// Make this the content, by the changes that lead to it. Makes the store if there is none.
    Replace(&'a Content),
    /// Apply these changes to the store. Does nothing while there is none: then the sequence number is 0.
    Update(&'a Changes),
    /// Make the store with this content. Does nothing if there is one.
    Create(&'a Content),
}

/// What a host does for a room.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Store this record durably before anything that follows is done.
    Commit(Record),
    /// Store this snapshot when there is time. [`Input::SnapshotEnded`] is expected.
    Snapshot(Snapshot),
    /// Read what storage has beyond a sequence number, for a client that comes back. [`Input::Recalled`] is expected.
    Recall {
        /// Whose.
        connection: ConnectionId,
        /// The sequence number.
        after: u64,
        /// How many bytes of records are worth reading, as of [`Storage::log`](crate::Storage::log).
        max_bytes: usize,
    },
    /// Send a text message.
    Send {
        /// The connections.
        to: Audience,
        /// The whole frame.
        frame: SharedStr,
    },
    /// Send a WebSocket ping that carries the token, behind everything that was sent before.
    Ping {
        /// To whom.
        connection: ConnectionId,
        /// What its [`Input::Pong`] will carry.
        token: u64,
    },
    /// Answer a request.
    Respond {
        /// Which.
        request: RequestId,
        /// The answer.
        response: Response,
    },
    /// Answer an edit by the host: the room's sequence number after it.
    Edited {
        /// Which.
        request: RequestId,
        /// The sequence number.
        seq: u64,
        /// Whether there is a record of it. An edit that does nothing has none, nor one that was taken before.
        is_recorded: bool,
    },
    /// Answer a reading by the host.
    Read {
        /// Which.
        request: RequestId,
        /// The room's sequence number.
        seq: u64,
        /// The content then; `None` while the room has no store.
        content: Option<Content>,
    },
    /// Close a connection. It is not in the room any more.
    Close {
        /// Which.
        connection: ConnectionId,
        /// The close code.
        code: u16,
        /// The reason, for people to read.
        reason: &'static str,
    },
}
