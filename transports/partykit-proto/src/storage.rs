//! Where rooms are stored: a log of records and snapshots, one of each room.

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

/// Stores rooms durably. The contract between a host of rooms and what it stores them in.
///
/// A room is a log: its [`Record`]s, numbered from 1 without gaps. Its content is the fold of them (R1). A
/// [`Snapshot`](super::Snapshot) stands for the records up to its number, so that opening a room does not read all of them.
///
/// # Contract
///
/// * **Durable.** What a call reported as stored is there after a crash of the process, of the operating system, and of the
///   machine's power (R6); of a snapshot only if the part of the log is not that it stands for. What a call reported as an error is either there or not, as a whole; the next [`open`](Self::open)
///   tells which.
/// * **All or nothing.** Each [`Commit`] is stored as a whole or not at all, whatever happens to others of the same call.
/// * **In order.** A commit is stored only if its first record's number follows that of the last one stored. A snapshot is
///   stored only if all its records are stored, and if no newer snapshot is.
/// * **Fenced.** Each opening of a room begins a new epoch. A commit or a snapshot under any epoch but the newest is refused,
///   so of two owners of a room only the one that opened it last can write.
/// * **Nothing for nothing.** A room of which nothing was ever committed takes no space: to open it writes nothing, and its
///   epoch is stored with its first commit.
/// * **No loss in silence.** What cannot be read is an error, never an empty room (R4).
///
/// Calls block: a host makes them where a thread may block, and several at once. Every `now` and every time is in
/// milliseconds since the Unix epoch, by the host's clock. Storage is not asked to check what is in records and snapshots.
///
/// [`conformance`](https://docs.rs/roommate-server) in the server's crate checks an implementation against each sentence.
pub trait Storage: Debug + Send + Sync + 'static {
    /// Claims a room under a new epoch of the random name `epoch`, and reads what it is made of.
    ///
    /// Returns when the epoch is durable, unless the room is not stored.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](roommate::ErrorKind::Unavailable) if the storage cannot be read or written just now,
    /// [`Corrupt`](roommate::ErrorKind::Corrupt) if what it has cannot be read.
    fn open(&self, room: &RoomName, epoch: &str, now: u64) -> Result<Opened>;

    /// Stores commits, at most one of each room, and returns an outcome for each, in their order.
    ///
    /// Returns when all that it reports as stored is durable.
    ///
    /// # Errors
    ///
    /// For each commit its own: [`Refused`](roommate::ErrorKind::Refused) if its epoch is not the room's newest,
    /// [`Invalid`](roommate::ErrorKind::Invalid) if its records do not follow the stored ones,
    /// [`Unavailable`](roommate::ErrorKind::Unavailable) if the storage cannot write just now (a full disk, say). A commit
    /// that is refused or invalid has no effect on the others.
    fn commit(&self, commits: &[Commit]) -> Vec<Result<()>>;

    /// Stores a snapshot, and removes the part of the log that is not needed any more.
    ///
    /// It need not be durable when this returns. The log that it stands for has to be there as long as a crash can take the
    /// snapshot back.
    ///
    /// Removed are the commits up to the newest snapshot that has no record of a time since `keep_since`, and the
    /// snapshots before that one. So the log goes on from a snapshot, and the content at each time since `keep_since` can be
    /// made again. Of a commit that goes beyond that snapshot nothing is removed. A snapshot of a number that is stored
    /// already replaces that one.
    ///
    /// # Errors
    ///
    /// [`Refused`](roommate::ErrorKind::Refused) if its epoch is not the room's newest,
    /// [`Invalid`](roommate::ErrorKind::Invalid) if it has records that are not stored, or if a newer snapshot is stored,
    /// [`Unavailable`](roommate::ErrorKind::Unavailable) if the storage cannot write just now.
    fn snapshot(&self, snapshot: &StoredSnapshot, keep_since: u64) -> Result<()>;

    /// Reads the commits of a room whose sequence number is beyond `after`, oldest first: as many as have `max_bytes` of
    /// records together, and at least one if there is any.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    fn log(&self, room: &RoomName, after: u64, max_bytes: usize) -> Result<Vec<StoredCommit>>;

    /// Reads the newest snapshot of a room whose sequence number is not beyond `seq`, in its stored form.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    fn snapshot_at(&self, room: &RoomName, seq: u64) -> Result<Option<String>>;

    /// Describes a room; `None` if it is not stored.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    fn describe(&self, room: &RoomName) -> Result<Option<RoomInfo>>;

    /// Lists up to `max` rooms that come after `after`, in the order of their names.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    fn list(&self, after: Option<&RoomName>, max: usize) -> Result<Vec<RoomInfo>>;

    /// Removes all that is stored of a room, durably. Returns whether there was anything.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](roommate::ErrorKind::Unavailable) if the storage cannot write just now.
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

/// What a room is made of when it is opened.
#[derive(Clone, Debug, PartialEq)]
pub struct Opened {
    /// The room's epochs; the present one is that of this opening.
    pub epochs: Epochs,
    /// The newest snapshot in its stored form, if there is one.
    pub snapshot: Option<String>,
    /// The commits with records that the snapshot does not have, oldest first.
    pub log: Vec<StoredCommit>,
}

/// Records of one room that become durable together.
#[derive(Clone, Debug, PartialEq)]
pub struct Commit {
    /// The room.
    pub room: RoomName,
    /// The epoch under which the room is open.
    pub epoch: Epoch,
    /// When, in milliseconds since the Unix epoch.
    pub time: u64,
    /// The records: never empty. Each number is 1 more than the one before, and no sequence number is below the one before.
    pub records: Vec<Record>,
}

/// A commit as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCommit {
    /// The number of its last record.
    pub last: u64,
    /// The room's sequence number after it.
    pub seq: u64,
    /// When, in milliseconds since the Unix epoch.
    pub time: u64,
    /// The stored forms of its records, a line each.
    pub records: String,
}

/// A snapshot as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSnapshot {
    /// The room.
    pub room: RoomName,
    /// The epoch under which the room is open.
    pub epoch: Epoch,
    /// The number of the last record that it has.
    pub number: u64,
    /// The room's sequence number then.
    pub seq: u64,
    /// The stored form of the [`Snapshot`](super::Snapshot).
    pub text: String,
}

/// What is known of a stored room without opening it.
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
    /// The room of a party, both percent-encoded as in URLs.
    pub fn new(party: impl Into<Arc<str>>, room: impl Into<Arc<str>>) -> Self {
        Self { party: party.into(), room: room.into() }
    }

    /// A room of the party `main`.
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
    /// A room of which nothing is stored.
    pub fn new(epoch: impl Into<Arc<str>>) -> Self {
        Self { epochs: Epochs::first(epoch), snapshot: None, log: Vec::new() }
    }
}

impl Commit {
    /// The number of its first record; 0 if there is none.
    pub fn first(&self) -> u64 {
        self.records.first().map_or(0, |record| record.number)
    }

    /// The number of its last record; 0 if there is none.
    pub fn last(&self) -> u64 {
        self.records.last().map_or(0, |record| record.number)
    }

    /// The room's sequence number after it.
    pub fn seq(&self) -> u64 {
        self.records.last().map_or(0, |record| record.seq)
    }

    /// The stored forms of its records, a line each.
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
    /// A room of whose records the first and the last were committed at these times.
    pub fn new(room: RoomName, seq: u64, created: u64, changed: u64) -> Self {
        Self { room, seq, created, changed }
    }
}
