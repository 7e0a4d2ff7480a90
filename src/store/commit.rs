//! What an engine receives of a commit, and how it writes without mistaking its own writes for edits.

use std::{
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use crate::content::{Cell, Changes, Content, Map, Row, diff_row};

use super::{
    Store,
    data::Data,
    shared::{Shared, lock},
};

/// The writer of a transaction: distinguishes the notices of one engine from edits and from the notices of other
/// engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Origin(u64);

/// One committed transaction.
#[derive(Debug)]
pub(crate) struct Commit<'a> {
    /// The writer; `None` is the application.
    pub(crate) origin: Option<Origin>,
    /// The net changes of the whole transaction.
    pub(crate) changes: &'a Changes,
    /// The old state of everything that the transaction touched.
    pub(crate) before: &'a Before,
    /// With an origin: the net changes by listeners (mutators and will-finish listeners) after the body of the origin,
    /// and the state before these changes. `None` if there are none.
    ///
    /// The changes of the body and of the listeners may cancel each other out: then `changes` is empty, and these are
    /// not.
    pub(crate) derived: Option<(&'a Changes, &'a Before)>,
}

/// The old state of everything that a transaction touched.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Before {
    /// The full old state of every touched row, and so all rows of a deleted table. An empty row did not exist.
    pub(crate) tables: Map<Map<Row>>,
    /// The old state of every touched value.
    pub(crate) values: Map<Option<Cell>>,
}

/// A hook on every commit. Dropping this ends it.
///
/// A call that is in progress on another thread continues after the drop; no call begins after it.
#[must_use = "the hook ends when this is dropped"]
pub(crate) struct CommitHook {
    shared: Weak<Shared>,
    number: u64,
}

pub(super) type Hook = Arc<dyn for<'a> Fn(&Commit<'a>) + Send + Sync>;

impl Origin {
    /// Creates an origin that differs from all others.
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl Store {
    /// Calls `hook` for every committed transaction that changed something, on the committing thread. That thread still
    /// holds the write turn, so no other transaction begins before the hook returns.
    ///
    /// The hook is called before any listener, and before another thread can read what was committed. It may read the
    /// store and must not write: a write is refused.
    pub(crate) fn on_commit(&self, hook: Hook) -> CommitHook {
        let mut hooks = lock(&self.shared.hooks);
        let number = hooks.next;
        hooks.next += 1;
        hooks.list.push((number, hook));
        self.shared.add_trace();
        CommitHook { shared: Arc::downgrade(&self.shared), number }
    }

    /// Calls `body` with the committed content, while holding the write turn: meanwhile no transaction begins or
    /// commits on another thread.
    pub(crate) fn with_committed<R>(&self, body: impl FnOnce(Content) -> R) -> R {
        let _turn = self.shared.turn.take();
        let content = {
            let state = self.shared.state();
            // An open transaction is that of this thread, which holds the turn.
            let is_open = state.writer.is_some();
            if is_open { state.committed().content() } else { state.data.content() }
        };
        body(content)
    }

    /// Ready unless this thread has a transaction open, which a transaction of an origin must not join
    /// ([`Store::transact_as`]). If pending, wakes when that transaction has ended. The result stays ready until this
    /// thread runs other code.
    pub(crate) fn poll_no_transaction_here(&self, context: &mut Context<'_>) -> Poll<()> {
        {
            let state = self.shared.state();
            if !state.is_written_here() {
                return Poll::Ready(());
            }
        }
        let mut state = self.shared.state_mut();
        if !state.blocked.iter().any(|waker| waker.will_wake(context.waker())) {
            state.blocked.push(context.waker().clone());
        }
        Poll::Pending
    }
}

/// The hooks of a store, in the order in which they were added.
#[derive(Default)]
pub(super) struct Hooks {
    next: u64,
    pub(super) list: Vec<(u64, Hook)>,
}

impl Before {
    /// Adds the old state of what a later part touched. States that are known already are older, and stay.
    pub(super) fn extend(&mut self, later: Self) {
        for (table_id, rows) in later.tables {
            let known = self.tables.get_or_default(&table_id);
            for (row_id, row) in rows {
                if !known.contains(&row_id) {
                    known.insert(row_id, row);
                }
            }
        }
        for (value_id, value) in later.values {
            if !self.values.contains(&value_id) {
                self.values.insert(value_id, value);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tables.is_empty() && self.values.is_empty()
    }

    /// The changes from the old state to the present one.
    pub(super) fn changes_to(&self, data: &Data) -> Changes {
        let mut changes = Changes::new();
        for (table_id, rows) in &self.tables {
            let Some(table) = data.tables.get(table_id) else {
                // Every row that the table had was touched since, or it would still be there.
                if rows.values().any(|row| !row.is_empty()) {
                    changes.del_table(table_id);
                }
                continue;
            };
            for (row_id, old) in rows {
                match table.rows.get(row_id) {
                    None if old.is_empty() => {}
                    None => changes.del_row(table_id, row_id),
                    Some(row) => {
                        for (cell_id, cell) in diff_row(Some(old), row) {
                            match cell {
                                Some(cell) => changes.set_cell(table_id, row_id, cell_id, cell),
                                None => changes.del_cell(table_id, row_id, cell_id),
                            }
                        }
                    }
                }
            }
        }
        for (value_id, old) in &self.values {
            let new = data.values.get(value_id);
            if old.as_ref() != new {
                changes.values.insert(value_id, new.cloned());
            }
        }
        changes
    }
}

impl Drop for CommitHook {
    fn drop(&mut self) {
        let Some(shared) = self.shared.upgrade() else { return };
        let mut hooks = lock(&shared.hooks);
        let index = hooks.list.iter().position(|(number, _)| *number == self.number);
        let removed = index.map(|index| hooks.list.remove(index));
        shared.remove_trace();
        // What the hook captured is dropped without the lock: its destructors may use the store.
        drop(hooks);
        drop(removed);
    }
}

impl fmt::Debug for CommitHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommitHook").finish_non_exhaustive()
    }
}
