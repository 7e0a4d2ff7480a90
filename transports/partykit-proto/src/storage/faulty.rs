//! A storage that fails on demand.

use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use roommate::{Error, ErrorKind, Result};

use super::{Commit, Opened, RoomInfo, RoomName, Storage, StoredCommit, StoredSnapshot};

/// Wraps another storage and makes some of its writes fail.
///
/// Writes are the calls of [`open`](Storage::open), [`commit`](Storage::commit), [`snapshot`](Storage::snapshot) and
/// [`delete`](Storage::delete), counted in the order in which they begin, even if they have nothing to write. Clones
/// share one storage.
///
/// ```
/// use roommate_partykit_proto::{Faulty, Memory, RoomName, Storage, WriteFault};
///
/// let storage = Faulty::new(Memory::new());
/// storage.nth(2, WriteFault::fail());
/// let room = RoomName::main("r");
/// assert!(storage.open(&room, "a", 0).is_ok());
/// assert!(storage.open(&room, "b", 0).unwrap_err().is_temporary());
/// assert!(storage.open(&room, "c", 0).is_ok());
/// assert_eq!(storage.writes(), 3);
/// ```
#[derive(Clone, Debug)]
pub struct Faulty {
    inner: Arc<dyn Storage>,
    state: Arc<Mutex<State>>,
}

/// A fault of a write.
#[derive(Clone, Debug)]
pub enum WriteFault {
    /// Stores nothing, and returns the error. In a call with several commits, this applies to each.
    Fail(Error),
    /// Stores what the storage accepts, and returns the error anyway. In a call with several commits, this applies to
    /// each.
    Tear(Error),
    /// Blocks the thread before it stores anything.
    Hold(Hold),
}

/// A condition that a held write waits for. Clones share one condition.
#[derive(Clone, Debug, Default)]
pub struct Hold(Arc<(Mutex<Passage>, Condvar)>);

#[derive(Debug, Default)]
struct Passage {
    reached: bool,
    ended: bool,
}

#[derive(Debug, Default)]
struct State {
    writes: u64,
    /// The faults by the number of their write, from 1.
    faults: BTreeMap<u64, WriteFault>,
    /// The fault of each write that has none of its own.
    every: Option<WriteFault>,
}

impl Faulty {
    /// Wraps a storage. Without a fault it behaves exactly as the wrapped storage does.
    pub fn new(inner: impl Storage) -> Self {
        Self { inner: Arc::new(inner), state: Arc::default() }
    }

    /// Sets the fault of the `n`-th write from now on, counted from 1.
    pub fn nth(&self, n: u64, fault: WriteFault) {
        let mut state = lock(&self.state);
        let write = state.writes.saturating_add(n);
        state.faults.insert(write, fault);
    }

    /// Sets the fault of every write from now on, as a full disk does.
    pub fn every(&self, fault: WriteFault) {
        lock(&self.state).every = Some(fault);
    }

    /// Removes every fault that has not happened yet.
    pub fn clear(&self) {
        let mut state = lock(&self.state);
        state.faults.clear();
        state.every = None;
    }

    /// How many writes have begun.
    pub fn writes(&self) -> u64 {
        lock(&self.state).writes
    }

    /// Counts a write, and carries it out with its fault. `fail` makes the result out of an error.
    fn write<T>(&self, write: impl FnOnce() -> T, fail: impl FnOnce(Error) -> T) -> T {
        let fault = {
            let mut state = lock(&self.state);
            state.writes += 1;
            let number = state.writes;
            state.faults.remove(&number).or_else(|| state.every.clone())
        };
        match fault {
            None => write(),
            Some(WriteFault::Fail(error)) => fail(error),
            Some(WriteFault::Tear(error)) => {
                write();
                fail(error)
            }
            Some(WriteFault::Hold(hold)) => {
                hold.pass();
                write()
            }
        }
    }
}

impl WriteFault {
    /// A fault that stores nothing and returns a temporary error.
    pub fn fail() -> Self {
        Self::Fail(Error::new(ErrorKind::Unavailable, "a write that fails, as a test asked for"))
    }

    /// A fault that stores everything and returns a temporary error.
    pub fn tear() -> Self {
        Self::Tear(Error::new(ErrorKind::Unavailable, "a write that is stored and fails, as a test asked for"))
    }
}

impl Hold {
    /// Creates a hold that has not ended.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the hold: a write that waits for it continues, and a later one does not wait.
    pub fn end(&self) {
        lock(&self.0.0).ended = true;
        self.0.1.notify_all();
    }

    /// Whether a write has reached the hold.
    pub fn is_reached(&self) -> bool {
        lock(&self.0.0).reached
    }

    /// Blocks until a write has reached the hold.
    pub fn wait_until_reached(&self) {
        drop(self.wait_while(|passage| !passage.reached));
    }

    fn pass(&self) {
        lock(&self.0.0).reached = true;
        self.0.1.notify_all();
        drop(self.wait_while(|passage| !passage.ended));
    }

    fn wait_while(&self, condition: impl Fn(&Passage) -> bool) -> MutexGuard<'_, Passage> {
        let condition = |passage: &mut Passage| condition(passage);
        self.0.1.wait_while(lock(&self.0.0), condition).unwrap_or_else(PoisonError::into_inner)
    }
}

impl Storage for Faulty {
    fn open(&self, room: &RoomName, epoch: &str, now: u64) -> Result<Opened> {
        self.write(|| self.inner.open(room, epoch, now), Err)
    }

    fn commit(&self, commits: &[Commit]) -> Vec<Result<()>> {
        self.write(|| self.inner.commit(commits), |error| vec![Err(error); commits.len()])
    }

    fn snapshot(&self, snapshot: &StoredSnapshot, keep_since: u64) -> Result<()> {
        self.write(|| self.inner.snapshot(snapshot, keep_since), Err)
    }

    fn log(&self, room: &RoomName, after: u64, max_bytes: usize) -> Result<Vec<StoredCommit>> {
        self.inner.log(room, after, max_bytes)
    }

    fn snapshot_at(&self, room: &RoomName, seq: u64) -> Result<Option<String>> {
        self.inner.snapshot_at(room, seq)
    }

    fn describe(&self, room: &RoomName) -> Result<Option<RoomInfo>> {
        self.inner.describe(room)
    }

    fn list(&self, after: Option<&RoomName>, max: usize) -> Result<Vec<RoomInfo>> {
        self.inner.list(after, max)
    }

    fn delete(&self, room: &RoomName) -> Result<bool> {
        self.write(|| self.inner.delete(room), Err)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::{Epochs, Event, Memory, Record};

    fn commit(room: &str, number: u64) -> Commit {
        let epoch = Epochs::first("e").present().clone();
        let record = Record { number, seq: 0, author: None, decided: None, event: Event::Nothing };
        Commit { room: RoomName::main(room), epoch, time: 0, records: vec![record] }
    }

    fn stored(storage: &Faulty, room: &str) -> usize {
        storage.open(&RoomName::main(room), "x", 0).unwrap().log.len()
    }

    #[test]
    fn a_write_that_fails_stores_nothing_and_one_that_tears_stores_all() {
        let storage = Faulty::new(Memory::new());
        storage.nth(1, WriteFault::fail());
        storage.nth(2, WriteFault::tear());
        for _ in 0..2 {
            let outcomes = storage.commit(&[commit("a", 1), commit("b", 1)]);
            assert_eq!(outcomes.iter().filter(|outcome| outcome.is_err()).count(), 2, "{outcomes:?}");
            let expected = usize::from(storage.writes() > 1);
            assert_eq!(storage.list(None, 9).unwrap().len(), 2 * expected);
        }
        assert_eq!((stored(&storage, "a"), stored(&storage, "b")), (1, 1));
    }

    #[test]
    fn a_full_disk_fails_every_write_until_there_is_space() {
        let storage = Faulty::new(Memory::new());
        storage.every(WriteFault::fail());
        assert!(storage.commit(&[commit("a", 1)])[0].is_err());
        assert!(storage.delete(&RoomName::main("a")).is_err());
        storage.clear();
        assert!(storage.commit(&[commit("a", 1)])[0].is_ok());
    }

    #[test]
    fn a_write_that_is_held_stores_when_the_hold_ends() {
        let (storage, hold) = (Faulty::new(Memory::new()), Hold::new());
        storage.nth(1, WriteFault::Hold(hold.clone()));
        let writer = thread::spawn({
            let storage = storage.clone();
            move || storage.commit(&[commit("a", 1)])
        });
        hold.wait_until_reached();
        assert_eq!(storage.describe(&RoomName::main("a")).unwrap(), None);
        hold.end();
        assert!(writer.join().unwrap()[0].is_ok());
        assert!(storage.describe(&RoomName::main("a")).unwrap().is_some());
    }
}
