//! The write turn: which thread may write.

use std::sync::PoisonError;

use crate::sync::{Condvar, Mutex, this_thread, thread::ThreadId};

use super::shared::lock;

/// A mutex that its owner may lock again.
///
/// Lock order: this mutex, then the state. Neither internal lock is held while code from outside this crate runs.
#[derive(Debug, Default)]
pub(super) struct Turn {
    gate: Mutex<Gate>,
    free: Condvar,
}

#[derive(Debug, Default)]
struct Gate {
    owner: Option<ThreadId>,
    /// How many times the owner has locked it.
    held: usize,
    /// How many threads wait for it. Waking when no thread waits would take longer than everything else here.
    waiting: usize,
}

/// Releases the turn on drop.
#[derive(Debug)]
#[must_use = "the turn is given back when this is dropped"]
pub(super) struct Held<'a>(&'a Turn);

impl Turn {
    /// Waits for the turn, unless this thread holds it.
    pub(super) fn take(&self) -> Held<'_> {
        let me = this_thread();
        let mut gate = lock(&self.gate);
        while gate.owner.is_some_and(|owner| owner != me) {
            gate.waiting += 1;
            gate = self.free.wait(gate).unwrap_or_else(PoisonError::into_inner);
            gate.waiting -= 1;
        }
        gate.owner = Some(me);
        gate.held += 1;
        Held(self)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut gate = lock(&self.0.gate);
        gate.held -= 1;
        if gate.held == 0 {
            gate.owner = None;
            if gate.waiting > 0 {
                self.0.free.notify_one();
            }
        }
    }
}
