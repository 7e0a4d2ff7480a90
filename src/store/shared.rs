//! What the clones of a store share.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    thread::{self, ThreadId},
};

use super::{
    commit::{Before, Hooks},
    data::Data,
    listeners::Book,
    log::Log,
    net::Net,
    turn::Turn,
};

/// Everything that the clones of a store share. No lock here is held while anybody else's code runs.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) turn: Turn,
    state: RwLock<State>,
    pub(super) book: Arc<Mutex<Book>>,
    pub(super) hooks: Mutex<Hooks>,
}

/// The data and how far the transaction is. Only the thread that has the turn writes here.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) data: Data,
    /// The thread whose transaction is open: nobody else may read.
    pub(super) writer: Option<ThreadId>,
    pub(super) phase: Phase,
    /// What the open transaction replaced, or its current stage.
    pub(super) log: Log,
    /// What earlier stages of the open transaction did.
    pub(super) earlier: Option<(Net, Before)>,
    /// Whether something inside the open transaction failed, so that it will be rolled back.
    pub(super) failed: bool,
    /// What listeners are to be told next.
    pub(super) untold: Option<Net>,
    /// How many rounds of telling listeners there were in this turn.
    pub(super) rounds: usize,
}

/// What the thread that has the turn is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing.
    #[default]
    Idle,
    /// A transaction is open: writes join it.
    Open,
    /// A transaction is being committed: writes are refused.
    Sealed,
    /// Listeners are being told: a write is a transaction of its own.
    Telling,
}

impl Shared {
    /// The state, once no transaction of another thread is open.
    pub(super) fn read(&self) -> RwLockReadGuard<'_, State> {
        let state = self.state();
        match state.writer {
            Some(writer) if writer != thread::current().id() => {
                drop(state);
                self.turn.wait_to_read(|| self.state())
            }
            _ => state,
        }
    }

    /// The state, whoever is writing.
    pub(super) fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, to write to it. The caller has the turn.
    pub(super) fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
