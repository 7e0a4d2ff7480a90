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
/// The methods have the names of TinyBase's, without `get` and in snake case, and do what those do. Where they do
/// something else on purpose it says so.
///
/// # Reading
///
/// [`cell`](Store::cell), [`row`](Store::row), [`table`](Store::table), [`tables`](Store::tables),
/// [`value`](Store::value) and [`content`](Store::content) copy what is there; the `has_`, `_ids` and `_count` forms say
/// what there is; the `iter_` forms go through it. Ids are in the order in which they were inserted: an update keeps the
/// place, what is deleted and set again goes to the end.
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
/// `set_` replaces: what is not given is deleted. `set_partial_` leaves it. What holds nothing (a row without cells, a
/// table without rows) cannot exist: setting it changes nothing, and what loses its last part is gone.
/// [`add_row`](Store::add_row) chooses the id.
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
/// Every write is a transaction, or part of the one that is open: see [`Store::transaction`]; by hand,
/// [`Store::start_transaction`]; with a second thought, [`Store::transaction_or_rollback`]. One thread writes at a
/// time. Its transaction, and the listeners that are told of it, hold the *turn*; other threads' writes wait for it.
/// Other threads' reads do not wait: they see what was there before the transaction until all of it is committed, so
/// nobody ever reads half of one. Two stores are two turns: threads that hold one and wait for the other wait for ever.
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
/// 2. [Mutators](Store#mutators), in the order of 4 to 7; then whoever may take the transaction back.
/// 3. *will finish transaction*. What 1 to 3 write belongs to the transaction. Then it is committed.
/// 4. *invalid cell*, for each cell that could not be taken.
/// 5. *has tables*; *table ids*, and *has table* for each; for each table *table cell ids*, and *has table cell* for each;
///    for each table *row count*; for each table *row ids*, *has row* for each, and *sorted row ids*; *sorted row ids* of
///    tables that kept their rows; for each row *cell ids*, and *has cell* for each; for each table, for each of its
///    rows: *cell*, for each cell, then that *row*; then that *table*; at last *tables*.
/// 6. *invalid value*, for each value that could not be taken.
/// 7. *has values*; *value ids*, and *has value* for each; *value*, for each value; *values*.
/// 8. *did finish transaction*.
///
/// From 5 on it is net changes that are told: what was set and set back, nobody hears of. For one change those who
/// listen to its id come before those who listen to [`ANY`], from the first id to the last; those who listen to the
/// same, in the order in which they were added. Who was added after the transaction
/// hears of the next one.
///
/// A listener may read, write, add listeners and end them. What one of 4 to 8 writes takes effect at once, as a
/// transaction of its own (which TinyBase would drop without a word), and is told in another *round* once all
/// listeners have heard of this one; what several wrote in one round is told together, as one transaction. After 100
/// rounds such writes are refused.
///
/// A listener that panics harms nobody else: from 4 on the data is kept, and all others are called before the panic
/// goes on to the caller of the write.
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
/// Listeners that are added to [`Store::mutators`] are told before the transaction is committed, and what they write
/// belongs to it. There are four groups, as TinyBase has them: those to invalid cells, to tables, to invalid values, to
/// values. Each group hears what the body and the groups before it did, and no group hears of its own writes. A mutator
/// that panics rolls the transaction back.
///
/// Mutators are called for what an engine takes from its place, too; what they write then is an edit, and is saved. Two
/// clients of one place whose mutators do not agree answer each other for ever.
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
/// [`Store::set_tables_schema`] and [`Store::set_values_schema`] say what there may be. What they refuse is no error but
/// is told to those who listen to invalid cells and values; defaults stand in for what is missing.
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
/// [`values`](Store::values_json) and [schemas](Store::schema_json), are TinyBase's. JSON has ids that look like array
/// indices first, as JavaScript's objects do.
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
/// [`Store::sorted_row_ids`] sorts the rows of a table by a [`Sort`], a page at a time if need be;
/// [`Store::add_sorted_row_ids_listener`] calls when that page is another.
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
/// [`Store::changes`] is a stream of changes for async code; a slow reader gets fewer items and larger ones.
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
