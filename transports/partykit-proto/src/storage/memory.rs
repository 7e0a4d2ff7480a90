//! A storage in memory.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use roommate::Result;

use super::{Commit, Head, Opened, RoomInfo, RoomName, Storage, StoredCommit, StoredSnapshot};
use crate::epochs::{Epoch, Epochs, MAX_EPOCHS};

/// Stores rooms in memory, until the process ends. The model of every other [`Storage`].
///
/// Clones share one storage.
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
    /// Sorted by number, oldest first.
    snapshots: VecDeque<StoredSnapshot>,
}

impl Memory {
    /// Creates a storage without rooms.
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
        let room = rooms.get_mut(&snapshot.room);
        let newest = room.as_ref().and_then(|room| room.snapshots.back()).map(|newest| newest.number);
        snapshot.check(room.as_ref().map(|room| room.head()).as_ref(), newest)?;
        let Some(room) = room else { return Ok(()) };
        if newest == Some(snapshot.number) {
            room.snapshots.pop_back();
        }
        room.snapshots.push_back(snapshot.clone());
        let old_until = match room.log.iter().position(|commit| commit.time >= keep_since) {
            Some(0) => return Ok(()),
            Some(young) => room.log[young - 1].last,
            None => room.last,
        };
        if let Some(base) = room.snapshots.iter().rposition(|snapshot| snapshot.number <= old_until) {
            room.snapshots.drain(..base);
            let base = room.snapshots[0].number;
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
    let room = rooms.get_mut(&commit.room);
    commit.check(room.as_ref().map(|room| room.head()).as_ref())?;
    let stored = StoredCommit { last: commit.last(), seq: commit.seq(), time: commit.time, records: commit.encode() };
    if let Some(room) = room {
        (room.last, room.seq, room.changed) = (stored.last, stored.seq, stored.time);
        room.log.push_back(stored);
        return Ok(());
    }
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
    Ok(())
}

impl Room {
    fn head(&self) -> Head {
        let newest = &self.epochs[self.epochs.len() - 1];
        Head { epoch: newest.number, epoch_id: Arc::clone(&newest.id), last: self.last }
    }

    fn info(&self, room: &RoomName) -> RoomInfo {
        RoomInfo::new(room.clone(), self.seq, self.created, self.changed)
    }
}

#[cfg(test)]
mod tests {
    use roommate::ErrorKind;

    use super::*;
    use crate::{Event, Record};

    fn commit(number: u64) -> Commit {
        let record =
            Record { number, seq: number, author: None, decided: None, event: Event::Changed("[{},{},1]".into()) };
        let epoch = Epochs::first("e").present().clone();
        Commit { room: RoomName::main("r"), epoch, time: number, records: vec![record] }
    }

    fn snapshot(number: u64) -> StoredSnapshot {
        let Commit { room, epoch, .. } = commit(number);
        StoredSnapshot { room, epoch, number, seq: number, text: number.to_string() }
    }

    #[test]
    fn r4_a_late_snapshot_does_not_replace_the_one_from_which_the_log_goes_on() {
        let rooms = Memory::new();
        assert!((1..=5).flat_map(|number| rooms.commit(&[commit(number)])).all(|outcome| outcome.is_ok()));
        rooms.snapshot(&snapshot(4), u64::MAX).unwrap();
        assert_eq!(rooms.snapshot(&snapshot(2), u64::MAX).unwrap_err().kind(), ErrorKind::Invalid);
        let opened = rooms.open(&RoomName::main("r"), "f", 0).unwrap();
        assert_eq!(opened.snapshot.as_deref(), Some("4"));
        assert_eq!(opened.log.iter().map(|commit| commit.last).collect::<Vec<_>>(), [5]);
    }
}
