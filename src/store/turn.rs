//! The write turn: which thread may write.

use std::sync::PoisonError;

use crate::sync::{Condvar, Mutex, this_thread, thread::ThreadId};

use super::shared::lock;

/// A mutex that its owner may take again.
///
/// The order of locks is: this one's, then the state's. Neither is held while anybody else's code runs.
#[derive(Debug, Default)]
pub(super) struct Turn {
    gate: Mutex<Gate>,
    free: Condvar,
}

#[derive(Debug, Default)]
struct Gate {
    owner: Option<ThreadId>,
    /// How often the owner has taken it.
    held: usize,
    /// How many threads wait for it. To wake nobody would take longer than all the rest.
    waiting: usize,
}

/// Gives the turn back on drop.
#[derive(Debug)]
#[must_use = "the turn is given back when this is dropped"]
pub(super) struct Held<'a>(&'a Turn);

impl Turn {
    /// Waits for the turn, unless this thread has it.
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
