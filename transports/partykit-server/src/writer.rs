//! Group commit: one thread stores what waits from all rooms, in one call. A commit that is alone may be stored by its
//! room.

use std::{
    io, mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use roommate::{Error, ErrorKind, Result};
use roommate_partykit_proto::{Commit, Storage};
use tokio::sync::oneshot;
use tracing::error;

/// Stores commits, on a thread of its own or on the caller's. Clones are the same writer. The thread ends with the last
/// clone.
///
/// While the storage is busy with some commits, new commits gather, and are stored by its next call. A disk may take as
/// long for one commit as for a hundred, so this stores all of them in the time of one.
#[derive(Clone, Debug)]
pub(crate) struct Writer(Arc<Handle>);

/// When dropped, ends the thread and waits for it. The thread holds the storage, which closes then unless it is used
/// elsewhere.
#[derive(Debug)]
struct Handle {
    queue: Arc<Queue>,
    storage: Arc<dyn Storage>,
    thread: Option<JoinHandle<()>>,
}

/// The commits that wait. Each room has at most one commit here, since it makes the next only after the outcome of this
/// one.
#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    commits: Vec<Commit>,
    answers: Answers,
    /// The storage has commits whose outcome is not yet known.
    is_busy: bool,
    is_closed: bool,
}

/// The receivers of the outcomes of some commits, in the order of the commits.
type Answers = Vec<oneshot::Sender<Result<()>>>;

impl Writer {
    /// Starts the thread.
    pub(crate) fn start(storage: Arc<dyn Storage>) -> io::Result<Self> {
        let queue = Arc::<Queue>::default();
        let (for_thread, its_storage) = (Arc::clone(&queue), Arc::clone(&storage));
        let run = move || for_thread.run(&*its_storage);
        let thread = thread::Builder::new().name("roommate-writer".to_owned()).spawn(run)?;
        Ok(Self(Arc::new(Handle { queue, storage, thread: Some(thread) })))
    }

    /// Hands in a commit. The answer comes when the commit is stored or has failed.
    pub(crate) fn commit(&self, commit: Commit) -> oneshot::Receiver<Result<()>> {
        let (answer, outcome) = oneshot::channel();
        let mut waiting = self.0.queue.waiting();
        waiting.commits.push(commit);
        waiting.answers.push(answer);
        // If there were other commits, or the storage is busy, the thread checks again by itself.
        let is_asleep = waiting.commits.len() == 1 && !waiting.is_busy;
        drop(waiting);
        if is_asleep {
            self.0.queue.arrived.notify_one();
        }
        outcome
    }

    /// Stores a commit on this thread, which blocks meanwhile. Returns the commit if there are others, because it is
    /// better stored together with those.
    ///
    /// Handing a lone commit to the thread, and being woken by it, takes about as long as SQLite takes to store it.
    pub(crate) fn commit_alone(&self, commit: Commit) -> Result<Result<()>, Commit> {
        let Handle { queue, storage, .. } = &*self.0;
        {
            let mut waiting = queue.waiting();
            if waiting.is_busy || !waiting.commits.is_empty() {
                return Err(commit);
            }
            waiting.is_busy = true;
        }
        let _busy = Busy(queue);
        Ok(store(&**storage, &[commit]).pop().expect("there is an outcome for each commit"))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.queue.waiting().is_closed = true;
        self.queue.arrived.notify_one();
        // A panic of the thread was reported when it happened.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Queue {
    fn run(&self, storage: &dyn Storage) {
        while let Some((commits, answers)) = self.next() {
            let busy = Busy(self);
            let outcomes = store(storage, &commits);
            drop(busy);
            for (answer, outcome) in answers.into_iter().zip(outcomes) {
                let _gone_meanwhile = answer.send(outcome);
            }
        }
    }

    /// Everything that waits, as soon as there is anything; `None` when no more commits can come.
    fn next(&self) -> Option<(Vec<Commit>, Answers)> {
        let mut waiting = self.waiting();
        while waiting.commits.is_empty() || waiting.is_busy {
            // No writer is left then, so none stores a commit alone.
            if waiting.is_closed {
                return None;
            }
            waiting = self.arrived.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        waiting.is_busy = true;
        Some((mem::take(&mut waiting.commits), mem::take(&mut waiting.answers)))
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When dropped, marks the storage as idle again. The thread may wait for that.
struct Busy<'a>(&'a Queue);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        let mut waiting = self.0.waiting();
        waiting.is_busy = false;
        let has_more = !waiting.commits.is_empty();
        drop(waiting);
        if has_more {
            self.0.arrived.notify_one();
        }
    }
}

/// Stores commits, and returns an outcome for each.
fn store(storage: &dyn Storage, commits: &[Commit]) -> Vec<Result<()>> {
    let count = commits.len();
    // A storage that panics fails these commits. The next ones are tried again.
    let mut outcomes = catch_unwind(AssertUnwindSafe(|| storage.commit(commits))).unwrap_or_else(|_| {
        error!("the storage panicked over {count} commits");
        Vec::new()
    });
    // A commit without an outcome is not known to be stored.
    outcomes.resize_with(count, || Err(Error::new(ErrorKind::Unavailable, "the storage failed")));
    outcomes
}

#[cfg(test)]
mod tests {
    use roommate_partykit_proto::{Event, Memory, Opened, Record, RoomInfo, RoomName, StoredCommit, StoredSnapshot};

    use super::*;

    fn commit(room: &str, number: u64) -> Commit {
        let record = Record { number, seq: number, author: None, decided: None, event: Event::Nothing };
        let epoch = Opened::new("e").epochs.present().clone();
        Commit { room: RoomName::main(room), epoch, time: 0, records: vec![record] }
    }

    /// Waits for permission before each call, and counts commits by call.
    #[derive(Debug)]
    struct Slow {
        inner: Memory,
        permission: Mutex<std::sync::mpsc::Receiver<()>>,
        calls: Mutex<Vec<usize>>,
    }

    impl Storage for Slow {
        fn open(&self, room: &RoomName, epoch: &str, now: u64) -> Result<Opened> {
            self.inner.open(room, epoch, now)
        }
        fn commit(&self, commits: &[Commit]) -> Vec<Result<()>> {
            self.calls.lock().unwrap().push(commits.len());
            self.permission.lock().unwrap().recv().expect("the test goes on");
            assert!(commits.iter().all(|commit| commit.room.room() != "bad"), "a bad room");
            self.inner.commit(commits)
        }
        fn snapshot(&self, snapshot: &StoredSnapshot, keep_since: u64) -> Result<()> {
            self.inner.snapshot(snapshot, keep_since)
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
            self.inner.delete(room)
        }
    }

    #[tokio::test]
    async fn what_waits_from_all_rooms_is_one_call_and_each_commit_has_its_own_outcome() {
        let (permit, permission) = std::sync::mpsc::channel();
        let storage =
            Arc::new(Slow { inner: Memory::new(), permission: Mutex::new(permission), calls: Mutex::default() });
        let writer = Writer::start(Arc::clone(&storage) as Arc<dyn Storage>).unwrap();
        let first = writer.commit(commit("a", 1));
        while storage.calls.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        let others = [commit("a", 2), commit("b", 1), commit("c", 7)].map(|commit| writer.commit(commit));
        permit.send(()).unwrap();
        permit.send(()).unwrap();
        first.await.unwrap().unwrap();
        let [second, b, c] = others;
        second.await.unwrap().unwrap();
        b.await.unwrap().unwrap();
        assert_eq!(c.await.unwrap().unwrap_err().kind(), ErrorKind::Invalid, "it does not follow");
        assert_eq!(*storage.calls.lock().unwrap(), [1, 3]);

        // A storage that panics fails the commits that it was handed, and no others.
        let bad = writer.commit(commit("bad", 1));
        permit.send(()).unwrap();
        assert_eq!(bad.await.unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
        let good = writer.commit(commit("a", 3));
        permit.send(()).unwrap();
        good.await.unwrap().unwrap();
    }

    #[test]
    fn what_comes_while_a_commit_is_stored_alone_is_the_threads_next_call() {
        let (permit, permission) = std::sync::mpsc::channel();
        let storage =
            Arc::new(Slow { inner: Memory::new(), permission: Mutex::new(permission), calls: Mutex::default() });
        let writer = Writer::start(Arc::clone(&storage) as Arc<dyn Storage>).unwrap();
        let calls = |count| {
            while storage.calls.lock().unwrap().len() < count {
                thread::yield_now();
            }
        };
        let alone = thread::spawn({
            let writer = writer.clone();
            move || writer.commit_alone(commit("a", 1)).unwrap().unwrap()
        });
        calls(1);
        assert_eq!(writer.commit_alone(commit("b", 1)).unwrap_err().room.room(), "b", "it is not alone");
        let others = [commit("b", 1), commit("c", 1)].map(|commit| writer.commit(commit));
        permit.send(()).unwrap();
        alone.join().unwrap();
        calls(2);
        assert_eq!(writer.commit_alone(commit("d", 1)).unwrap_err().room.room(), "d", "the thread stores others");
        permit.send(()).unwrap();
        for other in others {
            other.blocking_recv().unwrap().unwrap();
        }
        assert_eq!(*storage.calls.lock().unwrap(), [1, 2]);
    }

    #[test]
    fn the_thread_ends_with_the_last_writer() {
        let storage = Arc::new(Memory::new());
        let writer = Writer::start(Arc::clone(&storage) as Arc<dyn Storage>).unwrap();
        let clone = writer.clone();
        clone.commit_alone(commit("a", 1)).unwrap().unwrap();
        drop(writer);
        clone.commit(commit("a", 2)).blocking_recv().unwrap().unwrap();
        drop(clone);
        assert_eq!(Arc::strong_count(&storage), 1, "nobody else has the storage");
    }
}
