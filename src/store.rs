//! The reactive [`Store`].

use std::{fmt, sync::Arc};

mod commit;
mod data;
mod events;
mod json;
mod listeners;
mod log;
mod net;
mod readers;
mod setters;
mod shared;
mod slots;
mod stream;
mod subscribe;
mod telling;
mod transaction;
mod turn;

pub(crate) use commit::{Before, Commit, CommitHook, Origin};
pub use events::{
    CellEvent, CellIdsEvent, RowEvent, RowIdsEvent, TableEvent, TableIdsEvent, TablesEvent, TransactionEvent,
    ValueEvent, ValueIdsEvent, ValuesEvent,
};
pub use listeners::{ANY, Pattern, Subscription};
pub use net::CellChange;
pub use stream::ChangesStream;

use shared::Handle;

/// Tables of rows of cells, and values, that tell who listens what changes: TinyBase's `Store`.
///
/// Clones share everything. Any thread may use any of them.
#[derive(Clone, Default)]
pub struct Store {
    shared: Arc<Handle>,
}

impl Store {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&***self.shared, f)
    }
}
