//! Helpers of the checks.

use std::sync::Arc;

use roommate::ErrorKind;
use roommate_partykit_proto::{
    Commit, Epoch, Event, Opened, Record, RoomName, Snapshot, Storage, StoredCommit, StoredSnapshot,
};

/// One owner of a room: it commits records in order, as a host does.
#[derive(Clone, Debug)]
pub(super) struct Owner {
    pub(super) room: RoomName,
    pub(super) epoch: Epoch,
    pub(super) last: u64,
    pub(super) seq: u64,
}

impl Owner {
    /// Opens a room.
    pub(super) fn open(storage: &dyn Storage, room: &str, epoch: &str) -> Self {
        Self::open_all(storage, room, epoch).0
    }

    /// Opens a room, and also returns its stored parts.
    pub(super) fn open_all(storage: &dyn Storage, room: &str, epoch: &str) -> (Self, Opened) {
        let room = RoomName::main(room);
        let opened = storage.open(&room, epoch, 0).expect("a room is opened");
        let epoch = opened.epochs.present().clone();
        let (last, seq) = end(&opened);
        (Self { room, epoch, last, seq }, opened)
    }

    /// A commit of some records that follow the earlier ones. It is not stored yet. The records contain the texts.
    pub(super) fn next(&mut self, time: u64, texts: &[&str]) -> Commit {
        let records = texts.iter().map(|text| {
            self.last += 1;
            self.seq += 1;
            record(self.last, self.seq, text)
        });
        Commit { records: records.collect(), room: self.room.clone(), epoch: self.epoch.clone(), time }
    }

    /// Stores a commit of some records.
    pub(super) fn commit(&mut self, storage: &dyn Storage, time: u64, texts: &[&str]) {
        let commit = self.next(time, texts);
        storage.commit(&[commit]).pop().expect("an outcome").expect("a commit is stored");
    }

    /// A snapshot of the records up to a number, each of which raised the sequence number.
    pub(super) fn snapshot(&self, number: u64) -> StoredSnapshot {
        let text = snapshot_text(number, number);
        StoredSnapshot { room: self.room.clone(), epoch: self.epoch.clone(), number, seq: number, text }
    }
}

/// The number of a room's last record, and the sequence number after it.
pub(super) fn end(opened: &Opened) -> (u64, u64) {
    match (opened.log.last(), &opened.snapshot) {
        (Some(commit), _) => (commit.last, commit.seq),
        (None, Some(snapshot)) => {
            let snapshot = Snapshot::decode(snapshot).expect("a snapshot is as it was stored");
            (snapshot.number, snapshot.seq)
        }
        (None, None) => (0, 0),
    }
}

/// A record with a text in it.
pub(super) fn record(number: u64, seq: u64, text: &str) -> Record {
    Record { number, seq, author: Some(text.into()), decided: None, event: Event::Changed("[{},{},1]".into()) }
}

pub(super) fn snapshot_text(number: u64, seq: u64) -> String {
    Snapshot { number, seq, time: None, content: None, clients: Vec::new() }.encode()
}

/// The numbers of the records in commits. All records have to be as [`record`] creates them.
pub(super) fn numbers(log: &[StoredCommit]) -> Vec<u64> {
    let records = log.iter().flat_map(|commit| Record::decode_lines(&commit.records).expect("records are as stored"));
    records.map(|record| record.number).collect()
}

/// Opens a room, and returns the numbers of the records of the log.
pub(super) fn opened_numbers(storage: &dyn Storage, room: &str, epoch: &str) -> Vec<u64> {
    numbers(&Owner::open_all(storage, room, epoch).1.log)
}

/// The whole stored log of a room.
pub(super) fn whole_log(storage: &dyn Storage, room: &RoomName) -> Vec<StoredCommit> {
    storage.log(room, 0, usize::MAX).expect("a log is read")
}

/// Stores commits. Returns the kind of error of each that is not stored.
pub(super) fn commit(storage: &dyn Storage, commits: &[Commit]) -> Vec<Option<ErrorKind>> {
    let outcomes = storage.commit(commits);
    assert_eq!(outcomes.len(), commits.len(), "there is an outcome for each commit");
    outcomes.into_iter().map(|outcome| outcome.err().map(|error| error.kind())).collect()
}

/// Numbers that look random and are the same in each run.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `bound`, which is not 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// A storage that a check opens, closes and opens again.
pub(super) struct Reopening<'a> {
    open: super::Open<'a>,
    storage: Option<Arc<dyn Storage>>,
}

impl<'a> Reopening<'a> {
    pub(super) fn new(open: super::Open<'a>) -> Self {
        Self { open, storage: None }
    }

    /// The storage, which is opened if it is closed.
    pub(super) fn get(&mut self) -> &dyn Storage {
        &**self.storage.get_or_insert_with(self.open)
    }

    /// Closes the storage, so that it is opened again.
    pub(super) fn restart(&mut self) {
        self.storage = None;
    }
}
