//! The write turn: which thread may write, and when the others may read.

use std::sync::PoisonError;

use crate::sync::{
    Condvar, Mutex,
    thread::{self, ThreadId},
};

use super::shared::lock;

/// How many transactions may open before readers who wait.
const PATIENCE: usize = 16;

/// A mutex that its owner may take again, together with a gate for readers, who wait while a transaction is open.
///
/// The order of locks is: this one's, then the state's. Neither is held while anybody else's code runs.
#[derive(Debug, Default)]
pub(super) struct Turn {
    gate: Mutex<Gate>,
    free: Condvar,
    readable: Condvar,
    drained: Condvar,
}

#[derive(Debug, Default)]
struct Gate {
    owner: Option<ThreadId>,
    /// How often the owner has taken it.
    held: usize,
    /// Whether the owner has a transaction open.
    writing: bool,
    /// Threads that wait to read, or are just about to.
    readers: usize,
    /// How many transactions have opened while there was such a thread.
    overtaken: usize,
}

/// Gives the turn back on drop.
#[derive(Debug)]
#[must_use = "the turn is given back when this is dropped"]
pub(super) struct Held<'a>(&'a Turn);

impl Turn {
    /// Waits for the turn, unless this thread has it.
    pub(super) fn take(&self) -> Held<'_> {
        let me = thread::current().id();
        let mut gate = lock(&self.gate);
        while gate.owner.is_some_and(|owner| owner != me) {
            gate = self.free.wait(gate).unwrap_or_else(PoisonError::into_inner);
        }
        gate.owner = Some(me);
        gate.held += 1;
        Held(self)
    }

    /// Closes the gate for readers. The caller has the turn.
    ///
    /// A thread that writes all the time could keep waiting readers out for ever; so now and then it waits for them.
    pub(super) fn begin_writing(&self) {
        let mut gate = lock(&self.gate);
        gate.overtaken = if gate.readers > 0 { gate.overtaken + 1 } else { 0 };
        if gate.overtaken > PATIENCE {
            gate.overtaken = 0;
            while gate.readers > 0 {
                gate = self.drained.wait(gate).unwrap_or_else(PoisonError::into_inner);
            }
        }
        gate.writing = true;
    }

    /// Opens the gate for readers.
    pub(super) fn end_writing(&self) {
        lock(&self.gate).writing = false;
        self.readable.notify_all();
    }

    /// Waits until no transaction is open, and calls `read` before the next one opens.
    pub(super) fn wait_to_read<R>(&self, read: impl FnOnce() -> R) -> R {
        let mut gate = lock(&self.gate);
        gate.readers += 1;
        while gate.writing {
            gate = self.readable.wait(gate).unwrap_or_else(PoisonError::into_inner);
        }
        let result = read();
        gate.readers -= 1;
        if gate.readers == 0 {
            self.drained.notify_one();
        }
        result
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut gate = lock(&self.0.gate);
        gate.held -= 1;
        if gate.held == 0 {
            gate.owner = None;
            self.0.free.notify_one();
        }
    }
}
