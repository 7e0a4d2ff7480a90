//! The reactive [`Store`].

use std::{fmt, sync::Arc};

mod commit;
mod data;
mod events;
mod listeners;
mod log;
mod net;
mod readers;
mod setters;
mod shared;
mod slots;
mod subscribe;
mod telling;
mod transaction;
mod turn;

pub(crate) use commit::{Before, Commit, CommitHook, Origin};
pub use events::{
    CellChange, CellEvent, CellIdsEvent, RowEvent, RowIdsEvent, TableEvent, TableIdsEvent, TablesEvent,
    TransactionEvent, ValueEvent, ValueIdsEvent, ValuesEvent,
};
pub use listeners::{ANY, Pattern, Subscription};

use shared::Shared;

/// Tables of rows of cells, and values, that tell who listens what changes: TinyBase's `Store`.
///
/// Clones share everything. Any thread may use any of them.
#[derive(Clone, Default)]
pub struct Store {
    shared: Arc<Shared>,
}

impl Store {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }
}

/// Says how much there is, and not what; never waits.
impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.state();
        let mut debug = f.debug_struct("Store");
        debug.field("tables", &state.data.tables.len()).field("values", &state.data.values.len());
        debug.finish_non_exhaustive()
    }
}
