//! What the clones of a store share.

use std::{
    fmt,
    ops::Deref,
    sync::{
        Arc, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::Waker,
};

use crate::{
    content::Row,
    sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard, this_thread, thread::ThreadId},
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

/// Everything that the clones of a store share. No lock here is held while code from outside this crate runs.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) turn: Turn,
    state: RwLock<State>,
    pub(super) listeners: Arc<Listeners>,
    pub(super) hooks: Mutex<Hooks>,
    pub(super) feeds: Mutex<Vec<Arc<Feed>>>,
    /// How many hooks and feeds there are, so that checking costs nothing if there are none.
    traces: AtomicUsize,
}

/// One for all clones of a store: when the last clone is dropped, no writer is left.
#[derive(Default)]
pub(super) struct Handle(Arc<Shared>);

/// The data, and the progress of the transaction. Only the thread that holds the turn writes here.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) data: Data,
    pub(super) rules: Rules,
    /// The thread whose transaction is open: no other thread may see its writes.
    pub(super) writer: Option<ThreadId>,
    pub(super) phase: Phase,
    /// The number of the open transaction, or of the last one.
    pub(super) serial: u64,
    /// What the open transaction replaced, or its current stage.
    pub(super) log: Log,
    /// What the open transaction rejected.
    pub(super) invalid: Invalid,
    /// The changes of the earlier stage of the open transaction.
    pub(super) earlier: Option<Earlier>,
    /// Whether something inside the open transaction failed, so that it will be rolled back.
    pub(super) failed: bool,
    /// The next report to listeners.
    pub(super) untold: Option<Told>,
    /// How many rounds of notifying listeners there were in this turn.
    pub(super) rounds: usize,
    /// Tasks that wait on this thread for the transaction that this thread has open.
    pub(super) blocked: Vec<Waker>,
}

/// The changes of a stage of a transaction.
#[derive(Debug)]
pub(super) struct Earlier {
    pub(super) log: Log,
    pub(super) net: Net,
    pub(super) before: Before,
}

/// The activity of the thread that holds the turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing.
    #[default]
    Idle,
    /// A transaction is open: writes join it.
    Open,
    /// A transaction is being committed: writes are refused.
    Sealed,
    /// Listeners are being notified: a write is a transaction of its own.
    Telling,
}

impl State {
    /// The writer of the open transaction.
    pub(super) fn writer(&mut self) -> Writer<'_> {
        let Self { data, rules, log, invalid, .. } = self;
        Writer { edit: Edit { data, log: Some(log) }, rules, invalid }
    }

    /// The writer for writes that are neither undone nor reported.
    pub(super) fn unlogged_writer(&mut self) -> Writer<'_> {
        let Self { data, rules, invalid, .. } = self;
        Writer { edit: Edit { data, log: None }, rules, invalid }
    }

    /// Whether a transaction of another thread is open, so that this thread sees the state before it.
    pub(super) fn is_written_elsewhere(&self) -> bool {
        self.writer.is_some_and(|writer| writer != this_thread())
    }

    /// Whether a transaction of this thread is open.
    pub(super) fn is_written_here(&self) -> bool {
        self.writer == Some(this_thread())
    }

    /// The state before the open transaction: a copy that shares everything that was not touched since.
    pub(super) fn committed(&self) -> Data {
        let mut data = self.data.clone();
        self.log.undo(&mut data);
        if let Some(earlier) = &self.earlier {
            earlier.log.undo(&mut data);
        }
        data
    }

    /// One row of [`State::committed`].
    pub(super) fn committed_row(&self, table_id: &str, row_id: &str) -> Option<Row> {
        match self.earlier {
            Some(_) => self.committed().row(table_id, row_id).cloned(),
            None => self.log.row_before(table_id, row_id, &self.data),
        }
    }

    /// The values of [`State::committed`].
    pub(super) fn committed_values(&self) -> Row {
        match self.earlier {
            Some(_) => self.committed().values,
            None => self.log.values_before(&self.data),
        }
    }

    /// Makes the writes visible to all threads. They can no longer be undone.
    pub(super) fn settle(&mut self) {
        self.log.compact(&mut self.data);
        self.log.clear();
        if let Some(earlier) = self.earlier.take() {
            earlier.log.compact(&mut self.data);
        }
        self.rules.commit();
    }
}

impl Shared {
    /// Calls `look` with the data that this thread may see. `look` contains only this crate's code.
    pub(super) fn look<R>(&self, look: impl FnOnce(&Data) -> R) -> R {
        let state = self.state();
        if !state.is_written_elsewhere() {
            return look(&state.data);
        }
        let committed = state.committed();
        drop(state);
        look(&committed)
    }

    /// Whether there are hooks or feeds.
    pub(super) fn is_traced(&self) -> bool {
        self.traces.load(Ordering::Acquire) > 0
    }

    /// Counts a hook or feed that was added.
    pub(super) fn add_trace(&self) {
        self.traces.fetch_add(1, Ordering::Release);
    }

    /// Counts a hook or feed that was removed.
    pub(super) fn remove_trace(&self) {
        self.traces.fetch_sub(1, Ordering::Release);
    }

    /// The state, for reading, even while another thread writes.
    pub(super) fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, for writing. The caller holds the turn.
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

/// Shows the size of the data, and not the data; does not wait for transactions.
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
