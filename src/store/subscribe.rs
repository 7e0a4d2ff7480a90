//! How listeners are added.

use crate::subscription::Subscription;

use super::{
    Store,
    events::{
        CellEvent, CellIdsEvent, Event, RowEvent, RowIdsEvent, TableEvent, TableIdsEvent, TablesEvent,
        TransactionEvent, ValueEvent, ValueIdsEvent, ValuesEvent,
    },
    listeners::{Book, Kind, Pattern},
};

macro_rules! listeners {
    ($($(#[$doc:meta])* $name:ident($($id:ident),*): $kind:ident => $event:ident as $variant:ident;)*) => {
        /// Listening. Each listener is called until its [`Subscription`] is dropped, in the order that
        /// [`Store`](Store#listeners) tells. A call that is under way on another thread goes on after the drop; none
        /// begins after it.
        ///
        /// A listener owns what its closure captured. If that is a store, and the subscription lives in it too, both
        /// live for ever; the store that an event carries is enough for most.
        impl Store {$(
            $(#[$doc])*
            pub fn $name(
                &self,
                $($id: impl Into<Pattern>,)*
                listener: impl Fn(&$event<'_>) + Send + Sync + 'static,
            ) -> Subscription {
                Book::add(&self.shared.book, Kind::$kind, vec![$($id.into()),*], move |event| {
                    if let Event::$variant(event) = event {
                        listener(event);
                    }
                })
            }
        )*}
    };
}

listeners! {
    /// Calls `listener` for each cell that a transaction changed. Each id may be [`ANY`](crate::ANY).
    add_cell_listener(table_id, row_id, cell_id): Cell => CellEvent as Cell;
    /// Calls `listener` when cells came to or went from a row.
    add_cell_ids_listener(table_id, row_id): CellIds => CellIdsEvent as CellIds;
    /// Calls `listener` for each row of which cells changed.
    add_row_listener(table_id, row_id): Row => RowEvent as Row;
    /// Calls `listener` when rows came to or went from a table.
    add_row_ids_listener(table_id): RowIds => RowIdsEvent as RowIds;
    /// Calls `listener` for each table in which something changed.
    add_table_listener(table_id): Table => TableEvent as Table;
    /// Calls `listener` when tables came or went.
    add_table_ids_listener(): TableIds => TableIdsEvent as TableIds;
    /// Calls `listener` when something in the tables changed.
    add_tables_listener(): Tables => TablesEvent as Tables;
    /// Calls `listener` for each value that a transaction changed.
    add_value_listener(value_id): Value => ValueEvent as Value;
    /// Calls `listener` when values came or went.
    add_value_ids_listener(): ValueIds => ValueIdsEvent as ValueIds;
    /// Calls `listener` when some of the values changed.
    add_values_listener(): Values => ValuesEvent as Values;
    /// Calls `listener` when a transaction has started. What it writes belongs to the transaction.
    add_start_transaction_listener(): StartTransaction => TransactionEvent as Transaction;
    /// Calls `listener` when a transaction is about to finish. What it writes belongs to the transaction, and if it
    /// panics, the transaction is rolled back.
    add_will_finish_transaction_listener(): WillFinishTransaction => TransactionEvent as Transaction;
    /// Calls `listener` when a transaction did finish, after everybody else was told what it changed.
    add_did_finish_transaction_listener(): DidFinishTransaction => TransactionEvent as Transaction;
}
