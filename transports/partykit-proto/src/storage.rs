//! The storage of rooms: for each room a log of records, and snapshots.

use std::{
    fmt::{self, Debug},
    sync::Arc,
};

use roommate::Result;

use super::{
    epochs::{Epoch, Epochs},
    http::{MAIN_PARTY, RoomPath},
    record::Record,
};

#[cfg(any(test, feature = "testing"))]
mod faulty;
mod head;
mod key;
mod memory;
pub mod sql;

#[cfg(any(test, feature = "testing"))]
pub use faulty::{Faulty, Hold, WriteFault};
pub use head::Head;
pub(super) use key::is_truthy;
pub use key::{StorageKey, content_of_storage};
pub use memory::Memory;

/// Stores rooms durably: the contract between a host of rooms and its storage.
///
/// A room is a log: its [`Record`]s, numbered from 1 without gaps. The room's content is the fold of its records (R1).
/// A [`Snapshot`](super::Snapshot) stands for the records up to its number, so that a room can be opened without
/// reading all of its records.
///
/// # Contract
///
/// * **Durable.** What a call reported as stored survives a crash of the process, a crash of the operating system and a
///   loss of power (R6). A snapshot may be lost as long as the part of the log that it stands for is still stored. What
///   a call reported as an error is either stored or not, as a whole; the next [`open`](Self::open) shows which.
/// * **Atomic.** Each [`Commit`] is stored as a whole or not at all, regardless of the other commits of the call.
/// * **Ordered.** A commit is stored only if the number of its first record follows that of the last stored record. A
///   snapshot is stored only if all its records are stored, and no newer snapshot is.
/// * **Fenced.** Each opening of a room begins a new epoch. A commit or a snapshot under any epoch but the newest is
///   refused, so of two owners of a room only the one that opened it last can write.
/// * **Empty rooms take no space.** To open a room that never had a commit writes nothing. Its epoch is stored with its
///   first commit.
/// * **No silent loss.** Stored data that cannot be read is an error, never an empty room (R4).
///
/// Calls block: a host makes them on threads that may block, and several at once. Every `now` and every time is in
/// milliseconds since the Unix epoch, by the host's clock. A storage need not check the content of records and
/// snapshots.
///
/// [`conformance`](https://docs.rs/roommate-server) in the server's crate checks an implementation against each
/// sentence.
pub trait Storage: Debug + Send + Sync + 'static {
    /// Opens a room under a new epoch with the random id `epoch`, and reads what is stored of it.
    ///
    /// Returns when the epoch is durable, or at once if nothing is stored of the room.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](roommate::ErrorKind::Unavailable) if the storage cannot be read or written at the moment,
    /// [`Corrupt`](roommate::ErrorKind::Corrupt) if stored data cannot be read.
    fn open(&self, room: &RoomName, epoch: &str, now: u64) -> Result<Opened>;

    /// Stores commits, at most one of each room, and returns a result for each, in their order.
    ///
    /// Returns when every commit that it reports as stored is durable.
    ///
    /// # Errors
    ///
    /// Each commit has its own: [`Refused`](roommate::ErrorKind::Refused) if its epoch is not the room's newest,
    /// [`Invalid`](roommate::ErrorKind::Invalid) if its records do not follow the stored ones,
    /// [`Unavailable`](roommate::ErrorKind::Unavailable) if the storage cannot write at the moment (the disk may be
    /// full). A commit that is refused or invalid has no effect on the others.
    fn commit(&self, commits: &[Commit]) -> Vec<Result<()>>;

    /// Stores a snapshot, and removes the part of the log that is no longer needed.
    ///
    /// The snapshot need not be durable when this returns. As long as a crash can undo it, the part of the log that it
    /// stands for has to remain stored.
    ///
    /// This removes the commits up to the newest snapshot whose records are all older than `keep_since`, and the
    /// snapshots before that one. So the log continues from a snapshot, and the content at each time since `keep_since`
    /// can be rebuilt. A commit that extends beyond that snapshot is not removed, not even in part. A snapshot replaces
    /// a stored one of the same number.
    ///
    /// # Errors
    ///
    /// [`Refused`](roommate::ErrorKind::Refused) if its epoch is not the room's newest,
    /// [`Invalid`](roommate::ErrorKind::Invalid) if it has records that are not stored, or if a newer snapshot is
    /// stored, [`Unavailable`](roommate::ErrorKind::Unavailable) if the storage cannot write at the moment.
    fn snapshot(&self, snapshot: &StoredSnapshot, keep_since: u64) -> Result<()>;

    /// Reads the commits of a room that have a sequence number greater than `after`, oldest first: as many as fit into
    /// `max_bytes` of records, and at least one if there is one.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    fn log(&self, room: &RoomName, after: u64, max_bytes: usize) -> Result<Vec<StoredCommit>>;

    /// Reads the newest snapshot of a room whose sequence number is at most `seq`, in its stored form.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    fn snapshot_at(&self, room: &RoomName, seq: u64) -> Result<Option<String>>;

    /// Describes a room; `None` if nothing is stored of it.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    fn describe(&self, room: &RoomName) -> Result<Option<RoomInfo>>;

    /// Lists up to `max` rooms whose names come after `after`, in the order of their names.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    fn list(&self, after: Option<&RoomName>, max: usize) -> Result<Vec<RoomInfo>>;

    /// Removes everything that is stored of a room, durably. Returns whether anything was stored.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](roommate::ErrorKind::Unavailable) if the storage cannot write at the moment.
    fn delete(&self, room: &RoomName) -> Result<bool>;
}

impl<S: Storage + ?Sized> Storage for Arc<S> {
    fn open(&self, room: &RoomName, epoch: &str, now: u64) -> Result<Opened> {
        (**self).open(room, epoch, now)
    }

    fn commit(&self, commits: &[Commit]) -> Vec<Result<()>> {
        (**self).commit(commits)
    }

    fn snapshot(&self, snapshot: &StoredSnapshot, keep_since: u64) -> Result<()> {
        (**self).snapshot(snapshot, keep_since)
    }

    fn log(&self, room: &RoomName, after: u64, max_bytes: usize) -> Result<Vec<StoredCommit>> {
        (**self).log(room, after, max_bytes)
    }

    fn snapshot_at(&self, room: &RoomName, seq: u64) -> Result<Option<String>> {
        (**self).snapshot_at(room, seq)
    }

    fn describe(&self, room: &RoomName) -> Result<Option<RoomInfo>> {
        (**self).describe(room)
    }

    fn list(&self, after: Option<&RoomName>, max: usize) -> Result<Vec<RoomInfo>> {
        (**self).list(after, max)
    }

    fn delete(&self, room: &RoomName) -> Result<bool> {
        (**self).delete(room)
    }
}

/// The name of a room: its party and its own, percent-encoded as in URLs.
///
/// ```
/// use roommate_partykit_proto::RoomName;
///
/// assert_eq!(RoomName::new("chess", "a%20b").to_string(), "chess/a%20b");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomName {
    party: Arc<str>,
    room: Arc<str>,
}

/// What is stored of a room when it is opened.
#[derive(Clone, Debug, PartialEq)]
pub struct Opened {
    /// The room's epochs; the present one began with this opening.
    pub epochs: Epochs,
    /// The newest snapshot in its stored form, if there is one.
    pub snapshot: Option<String>,
    /// The commits that have records after the snapshot, oldest first.
    pub log: Vec<StoredCommit>,
}

/// Records of one room that become durable together.
#[derive(Clone, Debug, PartialEq)]
pub struct Commit {
    /// The room.
    pub room: RoomName,
    /// The epoch under which the room is open.
    pub epoch: Epoch,
    /// When the records were committed, in milliseconds since the Unix epoch.
    pub time: u64,
    /// The records: never empty. Their numbers increase by 1, and their sequence numbers never decrease.
    pub records: Vec<Record>,
}

/// A commit as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCommit {
    /// The number of its last record.
    pub last: u64,
    /// The room's sequence number after the commit.
    pub seq: u64,
    /// When the records were committed, in milliseconds since the Unix epoch.
    pub time: u64,
    /// The stored forms of its records, one per line.
    pub records: String,
}

/// A snapshot as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSnapshot {
    /// The room.
    pub room: RoomName,
    /// The epoch under which the room is open.
    pub epoch: Epoch,
    /// The number of the last record that the snapshot includes.
    pub number: u64,
    /// The room's sequence number after that record.
    pub seq: u64,
    /// The stored form of the [`Snapshot`](super::Snapshot).
    pub text: String,
}

/// The description of a stored room, read without opening it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RoomInfo {
    /// The room.
    pub room: RoomName,
    /// Its sequence number: how many changes were ever accepted.
    pub seq: u64,
    /// When its first record was committed, in milliseconds since the Unix epoch.
    pub created: u64,
    /// When its last record was committed, in milliseconds since the Unix epoch.
    pub changed: u64,
}

impl RoomName {
    /// Creates the name of a room of a party, both percent-encoded as in URLs.
    pub fn new(party: impl Into<Arc<str>>, room: impl Into<Arc<str>>) -> Self {
        Self { party: party.into(), room: room.into() }
    }

    /// Creates the name of a room of the party `main`.
    pub fn main(room: impl Into<Arc<str>>) -> Self {
        Self::new(MAIN_PARTY, room)
    }

    /// The party.
    pub fn party(&self) -> &str {
        &self.party
    }

    /// The room within its party.
    pub fn room(&self) -> &str {
        &self.room
    }
}

impl From<RoomPath<'_>> for RoomName {
    fn from(path: RoomPath<'_>) -> Self {
        Self::new(path.party, path.room)
    }
}

impl fmt::Display for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.party, self.room)
    }
}

impl Opened {
    /// What is stored of a new room: nothing but its first epoch.
    pub fn new(epoch: impl Into<Arc<str>>) -> Self {
        Self { epochs: Epochs::first(epoch), snapshot: None, log: Vec::new() }
    }
}

impl Commit {
    /// The number of its first record; 0 if it has no records.
    pub fn first(&self) -> u64 {
        self.records.first().map_or(0, |record| record.number)
    }

    /// The number of its last record; 0 if it has no records.
    pub fn last(&self) -> u64 {
        self.records.last().map_or(0, |record| record.number)
    }

    /// The room's sequence number after the commit.
    pub fn seq(&self) -> u64 {
        self.records.last().map_or(0, |record| record.seq)
    }

    /// The stored forms of its records, one per line.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        for record in &self.records {
            record.encode(&mut text);
            text.push('\n');
        }
        text
    }
}

impl RoomInfo {
    /// Creates the description of a room whose first and last records were committed at these times.
    pub fn new(room: RoomName, seq: u64, created: u64, changed: u64) -> Self {
        Self { room, seq, created, changed }
    }
}
