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
mod row_event;
mod setters;
mod shared;
mod slots;
mod stream;
mod subscribe;
mod telling;
mod transaction;
mod turn;

#[cfg(test)]
mod tests;

pub(crate) use commit::{Before, Commit, CommitHook, Origin};
pub use events::{
    CellEvent, CellIdsEvent, RowEvent, RowIdsEvent, TableEvent, TableIdsEvent, TablesEvent, TransactionEvent,
    ValueEvent, ValueIdsEvent, ValuesEvent,
};
pub use listeners::{ANY, Pattern};
pub use net::{CellChange, IdChange, TransactionLog};
pub use stream::ChangesStream;

use shared::Handle;

/// Tables of rows of cells, and values, that tell those who listen what changes: TinyBase's `Store`.
///
/// ```
/// use roommate::{ANY, Store};
///
/// let store = Store::new();
/// let listener = store.add_cell_listener("pets", ANY, "legs", |event| {
///     println!("{} has {:?} legs, not {:?}", event.row_id, event.new, event.old);
/// });
/// store.set_cell("pets", "fido", "legs", 4)?;
/// store.set_row("pets", "polly", [("legs", 2), ("wings", 2)])?;
/// assert_eq!(store.row_ids("pets"), ["fido", "polly"]);
/// drop(listener);
/// # Ok::<(), roommate::Error>(())
/// ```
///
/// Clones share everything, and any thread may use any of them. What is kept of it, and where, is an
/// engine's business.
///
/// # Transactions
///
/// Every write is a transaction, or part of the one that is open: see [`Store::transaction`]. One thread writes at a
/// time. Its transaction, and the listeners that are told of it, hold the *turn*; other threads' writes wait for it.
/// Other threads' reads wait for the transaction alone, so nobody ever reads half of one. Two stores are two turns:
/// threads that hold one and wait for the other wait for ever.
///
/// # Listeners
///
/// A listener is called on the thread that made the change, before the call that made it returns. For one transaction
/// the order is TinyBase's:
///
/// 1. *start transaction*, before the body; *will finish transaction*, after it. What these write belongs to the
///    transaction.
/// 2. *table ids*; *row ids*, for each table; *cell ids*, for each row;
/// 3. for each table, for each of its rows: *cell*, for each cell, then that *row*; then that *table*; at last *tables*;
/// 4. *value ids*; *value*, for each value; *values*;
/// 5. *did finish transaction*.
///
/// From 2 on it is net changes that are told: what was set and set back, nobody hears of. For one change those who
/// listen to its id come before those who listen to [`ANY`], from the first id to the last; those who listen to the
/// same, in the order in which they were added. Who was added after the transaction
/// hears of the next one.
///
/// A listener may read, write, add listeners and end them. What one of 2 to 5 writes takes effect at once, as a
/// transaction of its own (which TinyBase would drop without a word), and is told in another *round* once all
/// listeners have heard of this one; what several wrote in one round is told together, as one transaction. After 100
/// rounds such writes are refused.
///
/// A listener that panics harms nobody else: from 2 on the data is kept, and all others are called before the panic
/// goes on to the caller of the write.
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
