//! How listeners are added.

use crate::subscription::Subscription;

use super::{
    Store,
    events::{
        CellEvent, CellIdsEvent, Event, HasCellEvent, HasRowEvent, HasTableCellEvent, HasTableEvent, HasTablesEvent,
        HasValueEvent, HasValuesEvent, InvalidCellEvent, InvalidValueEvent, RowCountEvent, RowEvent, RowIdsEvent,
        TableCellIdsEvent, TableEvent, TableIdsEvent, TablesEvent, TransactionEvent, ValueEvent, ValueIdsEvent,
        ValuesEvent,
    },
    listeners::{Kind, Listeners, Pattern, Role},
};

/// Adds mutators, which are listeners that may change the transaction that they are notified of: TinyBase's `mutator`
/// flag. See [`Store::mutators`].
#[derive(Clone, Copy, Debug)]
pub struct Mutators<'a>(pub(super) &'a Store);

impl Store {
    /// Returns the handle for adding mutators: listeners that are called before a transaction is committed, and whose
    /// writes belong to that transaction.
    ///
    /// ```
    /// use roommate::{ANY, Cell, Store};
    ///
    /// let store = Store::new();
    /// let at_most_100 = store.mutators().add_cell_listener("pets", ANY, "weight", |event| {
    ///     if event.new.and_then(Cell::as_f64).is_some_and(|weight| weight > 100.0) {
    ///         let _ = event.store.set_cell(event.table_id, event.row_id, event.cell_id, 100);
    ///     }
    /// });
    /// store.set_cell("pets", "fido", "weight", 120)?;
    /// assert_eq!(store.cell("pets", "fido", "weight"), Some(100.into()));
    /// # drop(at_most_100);
    /// # Ok::<(), roommate::Error>(())
    /// ```
    pub fn mutators(&self) -> Mutators<'_> {
        Mutators(self)
    }
}

macro_rules! add {
    ($store:expr, $role:ident, $kind:ident, $event:ident, $path:expr, $listener:ident) => {
        Listeners::add(&$store.shared.listeners, Role::$role, Kind::$kind, $path, move |event| {
            if let Event::$event(event) = event {
                $listener(event);
            }
        })
    };
}

macro_rules! listeners {
    ($($(#[$doc:meta])* $name:ident($($id:ident),*): $kind:ident => $event:ident;)*) => {
        /// Listening. Each listener is called until its [`Subscription`] is dropped, in the order that
        /// [`Store`](Store#listeners) describes. A call that is in progress on another thread continues after the drop;
        /// no call begins after it. Each id may be [`ANY`](crate::ANY).
        ///
        /// A listener owns what its closure captured. If the closure captured the store and owns the subscription as
        /// well, neither is ever freed. Most listeners need only the store that the event carries.
        impl Store {$(
            $(#[$doc])*
            pub fn $name(
                &self,
                $($id: impl Into<Pattern>,)*
                listener: impl Fn(&$event<'_>) + Send + Sync + 'static,
            ) -> Subscription {
                add!(self, Listener, $kind, $event, vec![$($id.into()),*], listener)
            }
        )*}

        /// The same listeners as those of [`Store`], added as mutators.
        impl Mutators<'_> {$(
            $(#[$doc])*
            pub fn $name(
                &self,
                $($id: impl Into<Pattern>,)*
                listener: impl Fn(&$event<'_>) + Send + Sync + 'static,
            ) -> Subscription {
                add!(self.0, Mutator, $kind, $event, vec![$($id.into()),*], listener)
            }
        )*}
    };
}

listeners! {
    /// Calls `listener` for each cell that a write offered and that was rejected.
    add_invalid_cell_listener(table_id, row_id, cell_id): InvalidCell => InvalidCellEvent;
    /// Calls `listener` when the first table is added or the last one is removed.
    add_has_tables_listener(): HasTables => HasTablesEvent;
    /// Calls `listener` when tables are added or removed.
    add_table_ids_listener(): TableIds => TableIdsEvent;
    /// Calls `listener` for each table that is added or removed.
    add_has_table_listener(table_id): HasTable => HasTableEvent;
    /// Calls `listener` when the first row of a table gets a cell id, or the last row that has it loses it.
    add_table_cell_ids_listener(table_id): TableCellIds => TableCellIdsEvent;
    /// Calls `listener` for each cell id that the first row of a table gets, or that the last row with it loses.
    add_has_table_cell_listener(table_id, cell_id): HasTableCell => HasTableCellEvent;
    /// Calls `listener` when the number of rows of a table changed.
    add_row_count_listener(table_id): RowCount => RowCountEvent;
    /// Calls `listener` when rows are added to or removed from a table.
    add_row_ids_listener(table_id): RowIds => RowIdsEvent;
    /// Calls `listener` for each row that is added or removed.
    add_has_row_listener(table_id, row_id): HasRow => HasRowEvent;
    /// Calls `listener` when cells are added to or removed from a row.
    add_cell_ids_listener(table_id, row_id): CellIds => CellIdsEvent;
    /// Calls `listener` for each cell that is added or removed.
    add_has_cell_listener(table_id, row_id, cell_id): HasCell => HasCellEvent;
    /// Calls `listener` for each cell that a transaction changed.
    add_cell_listener(table_id, row_id, cell_id): Cell => CellEvent;
    /// Calls `listener` for each row in which cells changed.
    add_row_listener(table_id, row_id): Row => RowEvent;
    /// Calls `listener` for each table in which something changed.
    add_table_listener(table_id): Table => TableEvent;
    /// Calls `listener` when something in the tables changed.
    add_tables_listener(): Tables => TablesEvent;
    /// Calls `listener` for each value that a write offered and that was rejected.
    add_invalid_value_listener(value_id): InvalidValue => InvalidValueEvent;
    /// Calls `listener` when the first value is added or the last one is removed.
    add_has_values_listener(): HasValues => HasValuesEvent;
    /// Calls `listener` when values are added or removed.
    add_value_ids_listener(): ValueIds => ValueIdsEvent;
    /// Calls `listener` for each value that is added or removed.
    add_has_value_listener(value_id): HasValue => HasValueEvent;
    /// Calls `listener` for each value that a transaction changed.
    add_value_listener(value_id): Value => ValueEvent;
    /// Calls `listener` when some of the values changed.
    add_values_listener(): Values => ValuesEvent;
}

macro_rules! transaction_listeners {
    ($($(#[$doc:meta])* $name:ident: $kind:ident;)*) => {
        impl Store {$(
            $(#[$doc])*
            pub fn $name(&self, listener: impl Fn(&TransactionEvent<'_>) + Send + Sync + 'static) -> Subscription {
                add!(self, Listener, $kind, TransactionEvent, vec![], listener)
            }
        )*}
    };
}

transaction_listeners! {
    /// Calls `listener` when a transaction has started. Writes by `listener` belong to the transaction.
    add_start_transaction_listener: StartTransaction;
    /// Calls `listener` when a transaction is about to finish. Writes by `listener` belong to the transaction. If
    /// `listener` panics, the transaction is rolled back.
    add_will_finish_transaction_listener: WillFinishTransaction;
    /// Calls `listener` when a transaction is finished, after all other listeners have been notified of its changes.
    add_did_finish_transaction_listener: DidFinishTransaction;
}
