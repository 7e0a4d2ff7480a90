//! What the clones of a store share.

use std::{
    fmt,
    ops::Deref,
    sync::{Arc, PoisonError},
};

use crate::sync::{
    Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard,
    thread::{self, ThreadId},
};

use super::{
    commit::{Before, Hooks},
    data::{Data, Edit},
    invalid::Invalid,
    listeners::Listeners,
    log::Log,
    net::Net,
    rules::Rules,
    stream::Feed,
    told::Told,
    turn::Turn,
    writer::Writer,
};

/// Everything that the clones of a store share. No lock here is held while anybody else's code runs.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) turn: Turn,
    state: RwLock<State>,
    pub(super) listeners: Arc<Listeners>,
    pub(super) hooks: Mutex<Hooks>,
    pub(super) feeds: Mutex<Vec<Arc<Feed>>>,
}

/// One for all clones of a store: when the last is dropped, nobody is left who could write.
#[derive(Default)]
pub(super) struct Handle(Arc<Shared>);

/// The data and how far the transaction is. Only the thread that has the turn writes here.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) data: Data,
    pub(super) rules: Rules,
    /// The thread whose transaction is open: nobody else may read.
    pub(super) writer: Option<ThreadId>,
    pub(super) phase: Phase,
    /// Which transaction is open, or was.
    pub(super) serial: u64,
    /// What the open transaction replaced, or its current stage.
    pub(super) log: Log,
    /// What was offered in the open transaction and could not be taken.
    pub(super) invalid: Invalid,
    /// What earlier stages of the open transaction did.
    pub(super) earlier: Option<(Net, Before)>,
    /// Whether something inside the open transaction failed, so that it will be rolled back.
    pub(super) failed: bool,
    /// What listeners are to be told next.
    pub(super) untold: Option<Told>,
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

impl State {
    /// The open transaction's way to write.
    pub(super) fn writer(&mut self) -> Writer<'_> {
        let Self { data, rules, log, invalid, .. } = self;
        Writer { edit: Edit { data, log }, rules, invalid }
    }
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

impl Deref for Handle {
    type Target = Arc<Shared>;

    fn deref(&self) -> &Arc<Shared> {
        &self.0
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.close_feeds();
    }
}

/// Says how much there is, and not what; does not wait for transactions.
impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (tables, values) = {
            let state = self.state();
            (state.data.tables.len(), state.data.values.len())
        };
        f.debug_struct("Store").field("tables", &tables).field("values", &values).finish_non_exhaustive()
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
