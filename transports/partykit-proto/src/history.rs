//! The history of a room: its changes, and its content at a time, rebuilt from what is stored of it.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use roommate::{Changes, Content, Decoded, Error, ErrorKind, Result};

use super::{
    record::{Event, Record},
    snapshot::Snapshot,
    storage::StoredCommit,
};

/// One change of a room, as recorded in its log.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Change {
    /// The room's sequence number after the change. The first change of a room creates its store, and has 1.
    pub seq: u64,
    /// When the change was stored, by the server's clock.
    pub time: SystemTime,
    /// The client that made the change: its id, or the name that a stock client gives its connection. `None` if a stock
    /// client gave no name.
    pub author: Option<Arc<str>>,
    /// What happened.
    pub event: Happened,
}

/// What a change did.
#[derive(Clone, Debug, PartialEq)]
pub enum Happened {
    /// The room's store was created, with this content.
    Created(Content),
    /// These changes were accepted.
    Changed(Changes),
}

/// A room's content at a sequence number, rebuilt from a snapshot and the commits after it.
///
/// It has no storage of its own: the caller reads the snapshot and the commits.
///
/// ```
/// use roommate_partykit_proto::{Memory, Past, RoomName, Storage};
///
/// fn content_at(storage: &Memory, room: &RoomName, seq: u64) -> roommate::Result<Option<roommate::Content>> {
///     let mut past = Past::new(storage.snapshot_at(room, seq)?.as_deref())?;
///     while past.seq() < seq {
///         let commits = storage.log(room, past.seq(), 1 << 20)?;
///         if commits.is_empty() {
///             break; // the room is not there yet
///         }
///         past.replay(&commits, seq)?;
///     }
///     Ok(past.into_content())
/// }
/// # assert_eq!(content_at(&Memory::new(), &RoomName::main("r"), 1)?, None);
/// # Ok::<(), roommate::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Past {
    seq: u64,
    content: Option<Content>,
}

impl Change {
    /// Reads the changes in some commits that have a sequence number greater than `after`, oldest first.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] if a commit cannot be read, or a change is missing between two. [`ErrorKind::Invalid`] if
    /// the first of them does not follow `after`: the log is not stored that far back.
    pub fn read(commits: &[StoredCommit], after: u64) -> Result<Vec<Self>> {
        let mut changes = Vec::new();
        let mut seq = after;
        for (record, time) in records(commits) {
            let record = record?;
            let Some(event) = Happened::of(&record)?.filter(|_| record.seq > seq) else { continue };
            if record.seq != seq + 1 {
                return Err(if changes.is_empty() { out_of_reach(record.seq) } else { gap(seq + 1) });
            }
            seq = record.seq;
            changes.push(Self { seq, time: time_of(time), author: record.author, event });
        }
        Ok(changes)
    }

    /// The sequence number of the first change in some commits; `None` if they have no change.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] if a commit cannot be read.
    pub fn first_seq(commits: &[StoredCommit]) -> Result<Option<u64>> {
        for (record, _) in records(commits) {
            let record = record?;
            if record.event != Event::Nothing {
                return Ok(Some(record.seq));
            }
        }
        Ok(None)
    }
}

impl Past {
    /// Begins with a snapshot in its stored form. `None` stands for a room without a store.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] if it cannot be read.
    pub fn new(snapshot: Option<&str>) -> Result<Self> {
        let Some(text) = snapshot else { return Ok(Self::default()) };
        let Snapshot { seq, content, .. } = Snapshot::decode(text)?;
        Ok(Self { seq, content })
    }

    /// Applies the changes after the present sequence number, up to and including `up_to`.
    ///
    /// # Errors
    ///
    /// As [`Change::read`]. Then the content includes all changes before the one that could not be applied.
    pub fn replay(&mut self, commits: &[StoredCommit], up_to: u64) -> Result<()> {
        let mut applied = false;
        for (record, _) in records(commits) {
            let record = record?;
            if self.seq >= up_to {
                break;
            }
            if record.seq <= self.seq || matches!(record.event, Event::Nothing) {
                continue;
            }
            if record.seq != self.seq + 1 {
                return Err(if applied { gap(self.seq + 1) } else { out_of_reach(record.seq) });
            }
            match Happened::of(&record)? {
                Some(Happened::Created(content)) => self.content = Some(content),
                Some(Happened::Changed(changes)) => self.content.get_or_insert_default().apply(&changes),
                None => {}
            }
            self.seq = record.seq;
            applied = true;
        }
        Ok(())
    }

    /// The sequence number of the last applied change.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The content; `None` if the room had no store at that sequence number.
    pub fn into_content(self) -> Option<Content> {
        self.content
    }
}

impl Happened {
    /// What a record did to the content; `None` if it did nothing.
    fn of(record: &Record) -> Result<Option<Self>> {
        Ok(match &record.event {
            Event::Created(content) => Some(Self::Created(whole(Content::from_json(content)?)?)),
            Event::Changed(changes) => Some(Self::Changed(whole(Changes::from_json(changes)?)?)),
            Event::Nothing => None,
        })
    }
}

/// The records in some commits, each with the time of its commit.
fn records(commits: &[StoredCommit]) -> impl Iterator<Item = (Result<Record>, u64)> {
    commits.iter().flat_map(|commit| commit.records.lines().map(|line| (Record::decode(line), commit.time)))
}

/// Checks that stored data has nothing that a cell cannot hold.
pub(super) fn whole<T>(read: Decoded<T>) -> Result<T> {
    match read {
        Decoded { value, unrepresentable: 0 } => Ok(value),
        Decoded { .. } => Err(Error::new(ErrorKind::Corrupt, "a stored record has what no cell can hold")),
    }
}

/// Converts a time of the log.
pub(super) fn time_of(millis: u64) -> SystemTime {
    UNIX_EPOCH.checked_add(Duration::from_millis(millis)).unwrap_or(UNIX_EPOCH)
}

fn out_of_reach(first: u64) -> Error {
    let message = format!("the room's history is not kept that far back: it begins with change {first}");
    Error::new(ErrorKind::Invalid, message)
}

fn gap(missing: u64) -> Error {
    Error::new(ErrorKind::Corrupt, format!("change {missing} of the room is missing in its storage"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Commit, Edit, Input, Memory, Opened, RequestId, Room, RoomConfig, RoomName, Storage};

    fn changed(seq: u64, value: u64) -> Record {
        let event = Event::Changed(format!("[{{}},{{\"v\":{value}}},1]").into());
        Record { number: seq, seq, author: Some("ann".into()), decided: None, event }
    }

    fn commit(time: u64, records: &[Record]) -> StoredCommit {
        let mut text = String::new();
        for record in records {
            record.encode(&mut text);
            text.push('\n');
        }
        let last = records.last().unwrap();
        StoredCommit { last: last.number, seq: last.seq, time, records: text }
    }

    fn v(value: u64) -> Content {
        Content::from_json(&format!("[{{}},{{\"v\":{value}}}]")).unwrap().value
    }

    #[test]
    fn a_change_has_its_place_its_time_and_its_author() {
        let nothing = Record { number: 9, seq: 2, author: None, decided: None, event: Event::Nothing };
        let created = Record { event: Event::Created("[{},{\"v\":1}]".into()), ..changed(1, 1) };
        let commits = [commit(5, &[created, changed(2, 2), nothing]), commit(1_700_000_000_000, &[changed(3, 3)])];
        let changes = Change::read(&commits, 0).unwrap();
        assert_eq!(changes.iter().map(|change| change.seq).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(changes[0].event, Happened::Created(v(1)));
        assert_eq!(changes[2].time, UNIX_EPOCH + Duration::from_secs(1_700_000_000));
        assert_eq!(changes[2].author.as_deref(), Some("ann"));
        assert_eq!(Change::read(&commits, 2).unwrap(), changes[2..], "a commit may reach back before that");
    }

    #[test]
    fn r4_what_is_not_kept_any_more_is_an_error_that_says_so() {
        let commits = [commit(5, &[changed(8, 8), changed(9, 9)])];
        for error in [
            Change::read(&commits, 3).unwrap_err(),
            Past::default().replay(&commits, 9).unwrap_err(),
            Past::default().replay(&commits, 1).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(error.to_string().contains("begins with change 8"), "{error}");
        }
        let gap = [commit(5, &[changed(1, 1)]), commit(5, &[changed(3, 3)])];
        assert_eq!(Change::read(&gap, 0).unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(Past::default().replay(&gap, 9).unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(Past::new(Some("{")).unwrap_err().kind(), ErrorKind::Corrupt);
        let unreadable = [StoredCommit { records: "[]\n".into(), ..commit(5, &[changed(1, 1)]) }];
        assert_eq!(Change::read(&unreadable, 0).unwrap_err().kind(), ErrorKind::Corrupt);
    }

    /// A history of a room: edits, by the value that they set, or `None` for one that makes this the content.
    fn edits() -> impl Strategy<Value = Vec<(Option<u8>, u8)>> {
        prop::collection::vec((prop::option::of(0..4_u8), any::<u8>()), 1..24)
    }

    proptest! {
        /// R1: a room's content at a sequence number is the fold of its changes up to that.
        #[test]
        fn r1_the_past_is_what_the_room_was(
            edits in edits(),
            commit_at in prop::collection::vec(any::<bool>(), 24),
            snapshot_at in prop::collection::vec(any::<bool>(), 24),
        ) {
            let (storage, name) = (Memory::new(), RoomName::main("r"));
            let opened = storage.open(&name, "e", 0).unwrap();
            let epoch = opened.epochs.present().clone();
            let mut room = Room::open(RoomConfig::new(), Opened::new("e")).unwrap();
            let (mut contents, mut records) = (vec![None], Vec::new());
            for (index, (set, value)) in edits.iter().enumerate() {
                let (mut changes, mut content) = (Changes::new(), Content::new());
                let edit = match set {
                    Some(id) => {
                        changes.set_value(id.to_string(), (*value).into());
                        Edit::Apply(&changes)
                    }
                    None => {
                        content.values.insert("only", (*value).into());
                        Edit::Replace(&content)
                    }
                };
                let outputs = room.handle(Input::Edit { request: RequestId(0), author: None, change: None, edit });
                records.extend(outputs.into_iter().filter_map(|output| match output {
                    crate::Output::Commit(record) => Some(record),
                    _ => None,
                }));
                if room.seq() as usize == contents.len() {
                    contents.push(Some(room.content().clone()));
                }
                if !records.is_empty() && (commit_at[index] || index + 1 == edits.len()) {
                    let records = std::mem::take(&mut records);
                    let commit = Commit { room: name.clone(), epoch: epoch.clone(), time: index as u64, records };
                    storage.commit(&[commit]).remove(0).unwrap();
                    if snapshot_at[index] {
                        let snapshot = crate::DurableRoom::encode(&name, &epoch, &room.snapshot());
                        storage.snapshot(&snapshot, 0).unwrap();
                    }
                }
            }
            for (seq, content) in contents.iter().enumerate() {
                let seq = seq as u64;
                let mut past = Past::new(storage.snapshot_at(&name, seq).unwrap().as_deref()).unwrap();
                while past.seq() < seq {
                    // A commit at a time.
                    let commits = storage.log(&name, past.seq(), 1).unwrap();
                    past.replay(&commits, seq).unwrap();
                }
                prop_assert_eq!(&past.into_content(), content);
            }
            let all = Change::read(&storage.log(&name, 0, usize::MAX).unwrap(), 0).unwrap();
            prop_assert_eq!(all.len(), contents.len() - 1);
        }
    }
}
