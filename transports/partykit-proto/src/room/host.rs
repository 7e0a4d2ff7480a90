//! The inputs that a host passes to a room, and the outputs that the host carries out.

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

/// Identifies one request until it is answered. Chosen by the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// Something that happens to a room.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// A connection is opened. It is in the room from now on, and receives its broadcasts. So the host passes this in
    /// before it confirms to the client that the connection is open.
    ///
    /// The room trusts the host to have asked the policy with [`RoomConfig::admit_connection`].
    ///
    /// [`RoomConfig::admit_connection`]: super::RoomConfig::admit_connection
    Connect {
        /// The new connection.
        connection: ConnectionId,
        /// The request that opens it, with what the policy attached to it.
        context: Context,
    },
    /// A connection ended. Connections that are not in the room are ignored.
    Close {
        /// The connection.
        connection: ConnectionId,
    },
    /// A text message arrived. Messages of connections that are not in the room are ignored.
    Message {
        /// The connection that sent it.
        connection: ConnectionId,
        /// The whole frame.
        text: &'a str,
    },
    /// A pong arrived: everything that was sent before the [`Output::Ping`] has reached the other end. A pong that does
    /// not answer the last ping is ignored.
    Pong {
        /// The connection that sent it.
        connection: ConnectionId,
        /// The token of the ping.
        token: u64,
    },
    /// Some time has passed, a few seconds: long enough for a page to process what its connection has received, and for
    /// the answer to a request to arrive. Pass this in regularly while [`Room::wants_ticks`](super::Room::wants_ticks)
    /// holds. Without ticks, a room sends authors more than they need, and does not repair stock clients that load
    /// late.
    Tick,
    /// The queue of a connection is full: a frame for it was dropped, and no further frame may be queued until the
    /// connection has [caught up](Self::CaughtUp). A connection that cannot catch up is closed.
    Behind {
        /// The connection.
        connection: ConnectionId,
    },
    /// A connection that was [behind](Self::Behind) has read its queue. The room now sends it the whole content, in
    /// place of what it missed.
    CaughtUp {
        /// The connection.
        connection: ConnectionId,
    },
    /// An HTTP request arrived. Exactly one [`Output::Respond`] follows.
    ///
    /// The room trusts the host to have asked the policy with [`RoomConfig::admit_request`].
    ///
    /// [`RoomConfig::admit_request`]: super::RoomConfig::admit_request
    Request {
        /// The id that the answer will carry.
        request: RequestId,
        /// The request.
        context: Context,
        /// Its body.
        body: &'a [u8],
    },
    /// The program that hosts the room edits its content. The policy is not asked. Exactly one [`Output::Edited`]
    /// follows.
    Edit {
        /// The id that the answer will carry.
        request: RequestId,
        /// The author that the record names, if any.
        author: Option<Arc<str>>,
        /// The author's number for the edit, higher than all its earlier ones, if the room has to apply the edit only
        /// once even if it is passed in again (R7). This requires the extended dialect, whose memory of clients it
        /// uses.
        change: Option<u64>,
        /// The edit.
        edit: Edit<'a>,
    },
    /// The program that hosts the room reads its content. Exactly one [`Output::Read`] follows.
    Read {
        /// The id that the answer will carry.
        request: RequestId,
    },
    /// What [`Output::Recall`] asked for.
    Recalled {
        /// The connection that the commits are for.
        connection: ConnectionId,
        /// The commits, oldest first; empty if the storage could not read them.
        commits: &'a [StoredCommit],
    },
    /// The snapshot of [`Output::Snapshot`] is stored, or could not be stored.
    SnapshotEnded {
        /// The length of its stored form; `None` if it could not be stored.
        bytes: Option<usize>,
    },
}

/// An edit by the program that hosts the room.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Edit<'a> {
    /// Apply these changes. Creates the store if there is none and the changes set something.
    Apply(&'a Changes),
    /// Apply the changes that lead to this content. Creates the store if there is none.
    Replace(&'a Content),
    /// Apply these changes. Does nothing if there is no store: then the sequence number is 0.
    Update(&'a Changes),
    /// Create the store with this content. Does nothing if there is a store.
    Create(&'a Content),
}

/// Something that a host does for a room.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Store this record durably before carrying out any later output.
    Commit(Record),
    /// Store this snapshot when there is time. Then pass in [`Input::SnapshotEnded`].
    Snapshot(Snapshot),
    /// Read the stored commits after a sequence number, for a returning client. Then pass in [`Input::Recalled`].
    Recall {
        /// The client's connection.
        connection: ConnectionId,
        /// The sequence number.
        after: u64,
        /// How many bytes of records to read, as in [`Storage::log`](crate::Storage::log).
        max_bytes: usize,
    },
    /// Send a text message.
    Send {
        /// The connections.
        to: Audience,
        /// The whole frame.
        frame: SharedStr,
    },
    /// Send a WebSocket ping that carries the token, after everything that was sent before.
    Ping {
        /// The connection.
        connection: ConnectionId,
        /// The token that the [`Input::Pong`] will carry.
        token: u64,
    },
    /// Answer a request.
    Respond {
        /// The request.
        request: RequestId,
        /// The answer.
        response: Response,
    },
    /// Answer an edit by the host: the room's sequence number after it.
    Edited {
        /// The edit.
        request: RequestId,
        /// The sequence number.
        seq: u64,
        /// Whether the edit made a record. An edit that does nothing makes none, nor does one that was applied before.
        is_recorded: bool,
    },
    /// Answer a read by the host.
    Read {
        /// The read.
        request: RequestId,
        /// The room's sequence number.
        seq: u64,
        /// The content at that sequence number; `None` if the room has no store.
        content: Option<Content>,
    },
    /// Close a connection. It is no longer in the room.
    Close {
        /// The connection.
        connection: ConnectionId,
        /// The close code.
        code: u16,
        /// The reason, as text for people.
        reason: &'static str,
    },
}
