//! The reactive [`Store`].

use std::{fmt, sync::Arc};

mod commit;
mod data;
mod events;
mod invalid;
mod iter;
mod json;
mod listeners;
mod log;
mod manual;
mod net;
mod pool;
mod readers;
mod row_event;
mod rules;
mod schema;
mod setters;
mod shared;
mod sorted;
mod stream;
mod subscribe;
mod telling;
mod told;
mod transaction;
mod turn;
mod writer;

#[cfg(test)]
mod tests;

pub(crate) use commit::{Before, Commit, CommitHook, Origin};
pub use events::{
    CellEvent, CellIdsEvent, HasCellEvent, HasRowEvent, HasTableCellEvent, HasTableEvent, HasTablesEvent,
    HasValueEvent, HasValuesEvent, InvalidCellEvent, InvalidValueEvent, RowCountEvent, RowEvent, RowIdsEvent,
    SortedRowIdsEvent, TableCellIdsEvent, TableEvent, TableIdsEvent, TablesEvent, TransactionEvent, ValueEvent,
    ValueIdsEvent, ValuesEvent,
};
pub use invalid::{InvalidCell, InvalidValue};
pub use listeners::{ANY, Pattern};
pub use manual::OpenTransaction;
pub use net::{CellChange, IdChange, TransactionLog};
pub use schema::{CellSchema, TablesSchema, ValuesSchema};
pub use sorted::Sort;
pub use stream::ChangesStream;
pub use subscribe::Mutators;

use shared::Handle;

/// A reactive store of tables and values that notifies listeners of changes: TinyBase's `Store`. A table holds rows,
/// and a row holds cells.
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
/// Clones share all data and listeners, and any thread may use any clone. The store itself persists nothing: an
/// [`Engine`](crate::Engine) saves and loads its content.
///
/// The methods have the names of TinyBase's, without `get` and in snake case, and do the same. The documentation of a
/// method says so where the method differs from TinyBase on purpose.
///
/// # Reading
///
/// [`cell`](Store::cell), [`row`](Store::row), [`table`](Store::table), [`tables`](Store::tables),
/// [`value`](Store::value) and [`content`](Store::content) return copies of the data. The `has_`, `_ids` and `_count`
/// forms say what exists. The `iter_` forms iterate over it. Ids are in the order of insertion: an update keeps the
/// position of an id; an id that is deleted and set again moves to the end.
///
/// ```
/// # use roommate::Store;
/// let store = Store::new();
/// store.set_row("pets", "fido", [("legs", 4), ("age", 1)])?;
/// assert_eq!(store.cell("pets", "fido", "legs"), Some(4.into()));
/// assert_eq!(store.row("pets", "fido").len(), 2);
/// assert_eq!(store.cell_ids("pets", "fido"), ["legs", "age"]);
/// assert!(store.has_table_cell("pets", "age") && !store.has_row("pets", "felix"));
/// for (row_id, row) in store.iter_rows("pets") {
///     println!("{row_id}: {row:?}");
/// }
/// # Ok::<(), roommate::Error>(())
/// ```
///
/// # Writing
///
/// A `set_` method replaces: it deletes what it is not given. A `set_partial_` method leaves the rest as it is. A row
/// without cells and a table without rows cannot exist: setting one changes nothing, and a row or table that loses its
/// last cell or row is deleted. [`add_row`](Store::add_row) chooses the id of the row.
///
/// ```
/// # use roommate::Store;
/// let store = Store::new();
/// store.set_row("pets", "fido", [("legs", 4), ("age", 1)])?;
/// store.set_partial_row("pets", "fido", [("age", 2)])?;
/// store.update_cell("pets", "fido", "age", |age| age.and_then(|age| age.as_f64()).unwrap_or_default() + 1.0)?;
/// assert_eq!(store.cell("pets", "fido", "age"), Some(3.into()));
/// store.set_row("pets", "fido", [("age", 4)])?;
/// assert_eq!(store.cell_ids("pets", "fido"), ["age"]);
/// let row_id = store.add_row("pets", [("age", 1)])?;
/// store.del_row("pets", &row_id)?;
/// store.del_cell("pets", "fido", "age")?;
/// assert!(!store.has_tables());
/// # Ok::<(), roommate::Error>(())
/// ```
///
/// # Transactions
///
/// Every write is a transaction, or part of the transaction that is open. [`Store::transaction`] runs a closure as a
/// transaction, [`Store::start_transaction`] leaves the end to the caller, and [`Store::transaction_or_rollback`] can
/// undo the transaction after its body is done. One thread writes at a time. Its transaction, and the listeners that
/// are notified of it, hold the *turn*; writes by other threads wait for the turn. Reads by other threads do not wait:
/// they see the data as it was before the transaction until the whole transaction is committed, so no thread ever reads
/// half of a transaction. Two stores have two turns: threads that each hold one turn and wait for the other one
/// deadlock.
///
/// ```
/// # use roommate::{Error, Store};
/// let store = Store::new();
/// store.transaction(|store| -> Result<(), Error> {
///     store.set_value("from", 1)?;
///     store.set_value("to", 2)?;
///     assert_eq!(store.transaction_changes().values.len(), 2);
///     Ok(())
/// })?;
/// # Ok::<(), Error>(())
/// ```
///
/// # Listeners
///
/// A listener is called on the thread that made the change, before the call that made it returns. For one transaction
/// the order is TinyBase's:
///
/// 1. *start transaction*, before the body.
/// 2. [Mutators](Store#mutators), in the order of 4 to 7; then the `do_rollback` callback, which may roll the
///    transaction back.
/// 3. *will finish transaction*. Writes in 1 to 3 belong to the transaction. Then the transaction is committed.
/// 4. *invalid cell*, for each cell that was rejected.
/// 5. *has tables*; *table ids*, and *has table* for each; for each table *table cell ids*, and *has table cell* for
///    each; for each table *row count*; for each table *row ids*, *has row* for each, and *sorted row ids*; *sorted row
///    ids* of tables whose rows are the same as before; for each row *cell ids*, and *has cell* for each; for each
///    table, for each of its rows: *cell*, for each cell, then that *row*; then that *table*; at last *tables*.
/// 6. *invalid value*, for each value that was rejected.
/// 7. *has values*; *value ids*, and *has value* for each; *value*, for each value; *values*.
/// 8. *did finish transaction*.
///
/// From 5 on, listeners see net changes only: a cell that a transaction sets and then restores is not reported. For one
/// change, listeners to its exact id are called before listeners to [`ANY`], compared from the first id to the last.
/// Listeners to the same ids are called in the order in which they were added. A listener that is added after the
/// transaction is first notified of the next one.
///
/// A listener may read, write, add listeners and end subscriptions. A write by a listener of 4 to 8 takes effect at
/// once, as a transaction of its own (TinyBase would drop it silently). Listeners are notified of it in another
/// *round*, once all listeners have been notified of the current one. Several writes in one round are reported
/// together, as one transaction. After 100 rounds such writes are refused.
///
/// A panic of a listener does not affect other listeners: from 4 on the data stays committed, and all other listeners
/// are called before the panic continues in the caller of the write.
///
/// ```
/// # use roommate::{ANY, Store};
/// # use std::sync::{Arc, atomic::{AtomicUsize, Ordering}};
/// let store = Store::new();
/// let pets = Arc::new(AtomicUsize::new(0));
/// let counted = Arc::clone(&pets);
/// let count = store.add_row_count_listener("pets", move |event| counted.store(event.count, Ordering::Relaxed));
/// let log = store.add_did_finish_transaction_listener(|event| println!("{:?}", event.log()));
/// store.set_cell("pets", "fido", "legs", 4)?;
/// assert_eq!(pets.load(Ordering::Relaxed), 1);
/// # drop((count, log));
/// # Ok::<(), roommate::Error>(())
/// ```
///
/// # Mutators
///
/// Listeners that are added to [`Store::mutators`] are called before the transaction is committed, and their writes
/// belong to it. There are four groups, as in TinyBase: mutators of invalid cells, of tables, of invalid values, and of
/// values. Each group is notified of what the body and the earlier groups changed, and no group is notified of its own
/// writes. A mutator that panics rolls the transaction back.
///
/// Mutators are also called for changes that an engine receives from its backend. Their writes are then edits, and the
/// engine saves them. If two clients of one backend have mutators that disagree, each client overwrites the edits of
/// the other for ever.
///
/// ```
/// # use roommate::{ANY, Cell, Store};
/// let store = Store::new();
/// let total = store.mutators().add_table_listener("items", |event| {
///     let prices = event.store.iter_rows("items").filter_map(|(_, item)| item.get("price").and_then(Cell::as_f64));
///     let _ = event.store.set_value("total", prices.sum::<f64>());
/// });
/// store.set_cell("items", "tea", "price", 3)?;
/// store.set_cell("items", "cup", "price", 4)?;
/// assert_eq!(store.value("total"), Some(7.into()));
/// # drop(total);
/// # Ok::<(), roommate::Error>(())
/// ```
///
/// # Schemas
///
/// [`Store::set_tables_schema`] and [`Store::set_values_schema`] restrict what the store may contain. A write that a
/// schema refuses is not an error: listeners to invalid cells and values are notified of it. Defaults fill in what is
/// missing.
///
/// ```
/// use roommate::{CellSchema, Store, ValuesSchema};
///
/// let store = Store::new();
/// let open = CellSchema::boolean().with_default(false)?;
/// store.set_values_schema(ValuesSchema::new().with_value("open", open))?;
/// assert_eq!(store.value("open"), Some(false.into()));
/// store.set_value("open", true)?;
/// store.set_value("closed", true)?;
/// assert_eq!(store.values_json(), r#"{"open":true}"#);
/// # Ok::<(), roommate::Error>(())
/// ```
///
/// # JSON
///
/// [`Store::json`] and [`Store::set_json`], and the same for [`tables`](Store::tables_json),
/// [`values`](Store::values_json) and [schemas](Store::schema_json), use TinyBase's format. In JSON, ids that look like
/// array indices come first, as in JavaScript's objects.
///
/// ```
/// # use roommate::Store;
/// let store = Store::new();
/// store.set_json(r#"[{"pets":{"fido":{"legs":4}}},{"open":true}]"#)?;
/// assert_eq!(store.tables_json(), r#"{"pets":{"fido":{"legs":4}}}"#);
/// # Ok::<(), roommate::Error>(())
/// ```
///
/// # Sorted rows
///
/// [`Store::sorted_row_ids`] sorts the rows of a table by a [`Sort`], and can return one page of them.
/// [`Store::add_sorted_row_ids_listener`] calls a listener when that page changes.
///
/// ```
/// use roommate::{Sort, Store};
///
/// let store = Store::new();
/// store.set_cell("pets", "polly", "legs", 2)?;
/// store.set_cell("pets", "fido", "legs", 4)?;
/// let page = Sort::by_cell("legs").descending().with_offset(0).with_limit(10);
/// let sorted = store.add_sorted_row_ids_listener("pets", page.clone(), |event| println!("{:?}", event.row_ids));
/// assert_eq!(store.sorted_row_ids("pets", &page), ["fido", "polly"]);
/// # drop(sorted);
/// # Ok::<(), roommate::Error>(())
/// ```
///
/// # Streams
///
/// [`Store::changes`] is a stream of changes for async code. A slow reader receives fewer and larger items.
///
/// ```
/// # use futures_util::StreamExt;
/// # use roommate::Store;
/// let store = Store::new();
/// let mut changes = store.changes();
/// store.set_value("open", true)?;
/// # roommate::block_on(async {
/// let change = changes.next().await.expect("the store is still there");
/// assert_eq!(change.values["open"], Some(true.into()));
/// # });
/// # Ok::<(), roommate::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Store {
    shared: Arc<Handle>,
}

impl Store {
    /// Creates an empty store.
    pub fn new() -> Self {
        Self::default()
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&***self.shared, f)
    }
}
