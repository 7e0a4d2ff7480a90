//! What the general suite of storages cannot test: the file, other programs, a full disk.

use std::{fs, path::PathBuf, thread, time::Duration};

use roommate::ErrorKind;
use roommate_partykit_proto::{Commit, Epoch, Event, Record, StoredSnapshot, sql};
use tempfile::TempDir;

use super::*;

mod beside;
mod files;
mod full;

/// A folder and the path of a file in it.
fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rooms.db");
    (folder, path)
}

/// Opens a file with a log so short that checkpoints come often.
fn open(path: &Path) -> Sqlite {
    Sqlite::open_with(path, SqliteConfig::new().with_wal_bytes(0)).unwrap()
}

/// A room that is committed to.
struct Owner {
    room: RoomName,
    epoch: Epoch,
    last: u64,
}

impl Owner {
    fn open(storage: &Sqlite, room: &str) -> Self {
        let room = RoomName::main(room);
        let opened = storage.open(&room, "epoch", 0).unwrap();
        let last = opened.log.last().map_or(0, |commit| commit.last);
        Self { room, epoch: opened.epochs.present().clone(), last }
    }

    /// A commit of one record, of some size.
    fn next(&mut self, size: usize) -> Commit {
        self.last += 1;
        let (number, author) = (self.last, Some("a".repeat(size).into()));
        let event = Event::Changed("[{},{},1]".into());
        let record = Record { number, seq: number, author, decided: None, event };
        Commit { room: self.room.clone(), epoch: self.epoch.clone(), time: 1, records: vec![record] }
    }

    /// Stores such a commit. If that fails, the number is used again.
    fn commit(&mut self, storage: &Sqlite, size: usize) -> Result<()> {
        let commit = self.next(size);
        let outcome = storage.commit(&[commit]).remove(0);
        if outcome.is_err() {
            self.last -= 1;
        }
        outcome
    }

    fn snapshot(&self, number: u64) -> StoredSnapshot {
        let (room, epoch) = (self.room.clone(), self.epoch.clone());
        StoredSnapshot { room, epoch, number, seq: number, text: "{}".into() }
    }

    /// Checks that everything that was stored can be read.
    fn check(&self, storage: &Sqlite) {
        let log = storage.log(&self.room, 0, usize::MAX).unwrap();
        let numbers: Vec<_> = log.iter().map(|commit| commit.last).collect();
        assert_eq!(numbers, (1..=self.last).collect::<Vec<_>>(), "{}", self.room);
    }
}

/// Checks the whole file as SQLite does.
fn check_integrity(path: &Path) {
    let connection = Connection::open(path).unwrap();
    let found: String = connection.pragma_query_value(None, "integrity_check", |row| row.get(0)).unwrap();
    assert_eq!(found, "ok");
}

/// Waits until a condition holds.
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if is_so() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("it does not come: {what}");
}

/// How many pages the write-ahead log has after a commit. The first commit after a checkpoint starts the log anew.
fn log_pages(storage: &Sqlite, owner: &mut Owner) -> i32 {
    owner.commit(storage, 10).unwrap();
    let pages = storage.shared.writer().wal_checkpoint_v2(Some(rusqlite::MAIN_DB), rusqlite::wal::CheckpointMode::NOOP);
    pages.unwrap().0
}
