//! Rooms in memory.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use roommate::{Error, ErrorKind, Result};

use super::{Commit, Opened, RoomInfo, RoomName, Storage, StoredCommit, StoredSnapshot};
use crate::proto::epochs::{Epoch, Epochs, MAX_EPOCHS};

/// Stores rooms in memory: they end with the process. The model of every other [`Storage`].
///
/// Clones are the same storage.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<Mutex<BTreeMap<RoomName, Room>>>);

#[derive(Debug)]
struct Room {
    /// Never empty.
    epochs: VecDeque<Epoch>,
    last: u64,
    seq: u64,
    created: u64,
    changed: u64,
    log: VecDeque<StoredCommit>,
    /// By their numbers, oldest first.
    snapshots: VecDeque<StoredSnapshot>,
}

impl Memory {
    /// A storage without rooms.
    pub fn new() -> Self {
        Self::default()
    }

    fn rooms(&self) -> MutexGuard<'_, BTreeMap<RoomName, Room>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Storage for Memory {
    fn open(&self, room: &RoomName, epoch: &str, _now: u64) -> Result<Opened> {
        let mut rooms = self.rooms();
        let Some(stored) = rooms.get_mut(room) else { return Ok(Opened::new(epoch)) };
        let number = stored.epochs.back().map_or(1, |newest| newest.number + 1);
        let before = stored.epochs.iter().cloned().collect();
        let present = Epoch { number, id: epoch.into(), begins: stored.seq };
        stored.epochs.push_back(present.clone());
        if stored.epochs.len() > MAX_EPOCHS {
            stored.epochs.pop_front();
        }
        let snapshot = stored.snapshots.back();
        let number = snapshot.map_or(0, |snapshot| snapshot.number);
        let log = stored.log.iter().filter(|commit| commit.last > number).cloned().collect();
        let snapshot = snapshot.map(|snapshot| snapshot.text.clone());
        Ok(Opened { epochs: Epochs::new(before, present), snapshot, log })
    }

    fn commit(&self, commits: &[Commit]) -> Vec<Result<()>> {
        let mut rooms = self.rooms();
        commits.iter().map(|commit| store(&mut rooms, commit)).collect()
    }

    fn snapshot(&self, snapshot: &StoredSnapshot, keep_since: u64) -> Result<()> {
        let mut rooms = self.rooms();
        let room = rooms.get_mut(&snapshot.room).ok_or_else(fenced)?;
        room.check(&snapshot.epoch)?;
        if snapshot.number > room.last {
            return Err(Error::new(ErrorKind::Invalid, "the snapshot has records that are not stored"));
        }
        let at = room.snapshots.partition_point(|stored| stored.number < snapshot.number);
        room.snapshots.truncate(at);
        room.snapshots.push_back(snapshot.clone());
        // The time of a snapshot is that of the first commit with a record that it does not have.
        let log = &room.log;
        let is_old = |snapshot: &StoredSnapshot| {
            log.iter().take_while(|commit| commit.last <= snapshot.number).all(|commit| commit.time < keep_since)
        };
        let old = room.snapshots.iter().take_while(|snapshot| is_old(snapshot)).count();
        room.snapshots.drain(..old.saturating_sub(1));
        if old > 0
            && let Some(base) = room.snapshots.front().map(|base| base.number)
        {
            room.log.retain(|commit| commit.last > base);
        }
        Ok(())
    }

    fn log(&self, room: &RoomName, after: u64, max_bytes: usize) -> Result<Vec<StoredCommit>> {
        let rooms = self.rooms();
        let Some(room) = rooms.get(room) else { return Ok(Vec::new()) };
        let mut bytes = 0_usize;
        let beyond = room.log.iter().filter(|commit| commit.seq > after);
        let fits = beyond.take_while(|commit| {
            let is_first = bytes == 0;
            bytes = bytes.saturating_add(commit.records.len());
            is_first || bytes <= max_bytes
        });
        Ok(fits.cloned().collect())
    }

    fn snapshot_at(&self, room: &RoomName, seq: u64) -> Result<Option<String>> {
        let rooms = self.rooms();
        let snapshots = rooms.get(room).into_iter().flat_map(|room| room.snapshots.iter().rev());
        Ok(snapshots.into_iter().find(|snapshot| snapshot.seq <= seq).map(|snapshot| snapshot.text.clone()))
    }

    fn describe(&self, room: &RoomName) -> Result<Option<RoomInfo>> {
        Ok(self.rooms().get(room).map(|stored| stored.info(room)))
    }

    fn list(&self, after: Option<&RoomName>, max: usize) -> Result<Vec<RoomInfo>> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let rooms = self.rooms();
        let listed = rooms.range::<RoomName, _>((from, Bound::Unbounded)).take(max);
        Ok(listed.map(|(name, room)| room.info(name)).collect())
    }

    fn delete(&self, room: &RoomName) -> Result<bool> {
        Ok(self.rooms().remove(room).is_some())
    }
}

fn store(rooms: &mut BTreeMap<RoomName, Room>, commit: &Commit) -> Result<()> {
    if commit.records.is_empty() {
        return Err(Error::new(ErrorKind::Invalid, "a commit has at least one record"));
    }
    let stored = StoredCommit { last: commit.last(), seq: commit.seq(), time: commit.time, records: commit.encode() };
    match rooms.get_mut(&commit.room) {
        Some(room) => {
            room.check(&commit.epoch)?;
            if commit.first() != room.last + 1 {
                return Err(out_of_order(commit.first(), room.last));
            }
            (room.last, room.seq, room.changed) = (stored.last, stored.seq, stored.time);
            room.log.push_back(stored);
        }
        None if commit.epoch.number != 1 => return Err(fenced()),
        None if commit.first() != 1 => return Err(out_of_order(commit.first(), 0)),
        None => {
            let room = Room {
                epochs: [commit.epoch.clone()].into(),
                last: stored.last,
                seq: stored.seq,
                created: commit.time,
                changed: commit.time,
                log: [stored].into(),
                snapshots: VecDeque::new(),
            };
            rooms.insert(commit.room.clone(), room);
        }
    }
    Ok(())
}

impl Room {
    fn check(&self, epoch: &Epoch) -> Result<()> {
        let newest = self.epochs.back();
        let is_newest = newest.is_some_and(|newest| newest.number == epoch.number && newest.id == epoch.id);
        if is_newest { Ok(()) } else { Err(fenced()) }
    }

    fn info(&self, room: &RoomName) -> RoomInfo {
        RoomInfo::new(room.clone(), self.seq, self.created, self.changed)
    }
}

fn fenced() -> Error {
    Error::new(
        ErrorKind::Refused,
        "the room was opened again or deleted since: this owner may not write to it any more",
    )
}

fn out_of_order(first: u64, last: u64) -> Error {
    let message = format!("record {first} does not follow the last one that is stored, {last}");
    Error::new(ErrorKind::Invalid, message)
}
