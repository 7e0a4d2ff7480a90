//! What listeners are told.

use crate::content::{Cell, Changes, Id, Map};

use super::{
    Store,
    net::{CellChange, IdChange, Net, TransactionLog},
    sorted::Sort,
    told::Told,
};

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident {
        $($(#[$field_doc:meta])* $field:ident: $type:ty,)*
    } $(+ $net:ident: $net_type:ty)?)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug)]
            #[non_exhaustive]
            pub struct $name<'a> {
                /// The store, to read and to write.
                pub store: &'a Store,
                $($(#[$field_doc])* pub $field: $type,)*
                $(pub(super) $net: $net_type,)?
            }
        )*

        /// Any event, for those who carry them.
        #[derive(Clone, Copy, Debug)]
        pub(super) enum Event<'a> {
            $($name($name<'a>),)*
            /// The order of some rows may have changed.
            Unsorted(&'a Store),
            TransactionEvent(TransactionEvent<'a>),
        }
    };
}

events! {
    /// A cell, a row, a table or a content was offered that a schema refuses, or that holds nothing.
    ///
    /// What could not be said of it (which cell, of a row that holds none) is `None`. Only [`ANY`](crate::ANY) hears of
    /// it there.
    InvalidCellEvent {
        /// The table, if it was one table.
        table_id: Option<&'a Id>,
        /// The row, if it was one row that has an id already.
        row_id: Option<&'a Id>,
        /// The cell, if it was one cell.
        cell_id: Option<&'a Id>,
        /// What was offered in this transaction, one after the other; `None` where a cell was missing.
        cells: &'a [Option<Cell>],
    }
    /// The first table came, or the last one went.
    HasTablesEvent {
        /// Whether there are tables now.
        has: bool,
    }
    /// Tables came or went.
    TableIdsEvent {
        /// The ids that came or went, and which of both.
        ids: &'a Map<IdChange>,
    }
    /// A table came or went.
    HasTableEvent {
        /// The table.
        table_id: &'a Id,
        /// Whether it is there now.
        has: bool,
    }
    /// Cells came to the first row of a table that has them, or went from the last.
    TableCellIdsEvent {
        /// The table.
        table_id: &'a Id,
        /// The ids that came or went, and which of both.
        ids: &'a Map<IdChange>,
    }
    /// A cell came to the first row of a table that has it, or went from the last.
    HasTableCellEvent {
        /// The table.
        table_id: &'a Id,
        /// The cell.
        cell_id: &'a Id,
        /// Whether some row has it now.
        has: bool,
    }
    /// The number of rows of a table changed.
    RowCountEvent {
        /// The table.
        table_id: &'a Id,
        /// How many rows there are now.
        count: usize,
    }
    /// Rows of one table came or went.
    RowIdsEvent {
        /// The table.
        table_id: &'a Id,
        /// The ids that came or went, and which of both.
        ids: &'a Map<IdChange>,
    }
    /// A row came or went.
    HasRowEvent {
        /// The row's table.
        table_id: &'a Id,
        /// The row.
        row_id: &'a Id,
        /// Whether it is there now.
        has: bool,
    }
    /// Cells of one row came or went.
    CellIdsEvent {
        /// The row's table.
        table_id: &'a Id,
        /// The row.
        row_id: &'a Id,
        /// The ids that came or went, and which of both.
        ids: &'a Map<IdChange>,
    }
    /// A cell came or went.
    HasCellEvent {
        /// The cell's table.
        table_id: &'a Id,
        /// The cell's row.
        row_id: &'a Id,
        /// The cell.
        cell_id: &'a Id,
        /// Whether it is there now.
        has: bool,
    }
    /// One cell changed.
    CellEvent {
        /// The cell's table.
        table_id: &'a Id,
        /// The cell's row.
        row_id: &'a Id,
        /// The cell.
        cell_id: &'a Id,
        /// What it held before the transaction; `None` if there was no such cell.
        old: Option<&'a Cell>,
        /// What it holds after it; `None` if there is no such cell.
        new: Option<&'a Cell>,
    } + net: &'a Net
    /// Cells of one row changed.
    RowEvent {
        /// The row's table.
        table_id: &'a Id,
        /// The row.
        row_id: &'a Id,
    } + net: &'a Net
    /// Something in one table changed.
    TableEvent {
        /// The table.
        table_id: &'a Id,
    } + net: &'a Net
    /// Something in the tables changed.
    TablesEvent {
    } + net: &'a Net
    /// A value was offered that a schema refuses, or no values at all.
    InvalidValueEvent {
        /// The value, if it was one.
        value_id: Option<&'a Id>,
        /// What was offered in this transaction, one after the other; `None` where a value was missing.
        values: &'a [Option<Cell>],
    }
    /// The first value came, or the last one went.
    HasValuesEvent {
        /// Whether there are values now.
        has: bool,
    }
    /// Values came or went.
    ValueIdsEvent {
        /// The ids that came or went, and which of both.
        ids: &'a Map<IdChange>,
    }
    /// A value came or went.
    HasValueEvent {
        /// The value.
        value_id: &'a Id,
        /// Whether it is there now.
        has: bool,
    }
    /// One value changed.
    ValueEvent {
        /// The value.
        value_id: &'a Id,
        /// What it was before the transaction; `None` if there was no such value.
        old: Option<&'a Cell>,
        /// What it is after it; `None` if there is no such value.
        new: Option<&'a Cell>,
    } + net: &'a Net
    /// Some of the values changed.
    ValuesEvent {
    } + net: &'a Net
}

/// The sorted ids of some rows are others than before.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct SortedRowIdsEvent<'a> {
    /// The store, to read and to write.
    pub store: &'a Store,
    /// The table.
    pub table_id: &'a Id,
    /// How they are sorted, and which of them are asked for.
    pub sort: &'a Sort,
    /// The ids now.
    pub row_ids: &'a [Id],
}

/// A transaction starts, is about to finish, or did finish.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct TransactionEvent<'a> {
    /// The store, to read and to write.
    pub store: &'a Store,
    pub(super) stage: Stage<'a>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Stage<'a> {
    Open,
    Over(&'a Told),
}

impl TransactionEvent<'_> {
    /// The net changes of the transaction: TinyBase's `getTransactionChanges`.
    ///
    /// A deleted table counts at the level of tables, a deleted row at that of rows, everything else at that of cells;
    /// what was set and set back is not mentioned. While the transaction is open these are the changes so far, other
    /// listeners' included.
    pub fn changes(&self) -> Changes {
        match self.stage {
            Stage::Open => self.store.transaction_changes(),
            Stage::Over(told) => told.net.changes(),
        }
    }

    /// What the transaction changed at every level, as of when [`TransactionEvent::changes`] would tell it.
    pub fn log(&self) -> TransactionLog {
        match self.stage {
            Stage::Open => self.store.transaction_log(),
            Stage::Over(told) => told.log(),
        }
    }
}

macro_rules! cell_change {
    ($($name:ident)*) => {$(
        impl<'a> $name<'a> {
            /// What the same transaction changed any cell from and to; `None` if it did not change that cell.
            pub fn cell_change(&self, table_id: &str, row_id: &str, cell_id: &str) -> Option<&'a CellChange> {
                self.net.cell(table_id, row_id, cell_id)
            }
        }
    )*};
}
cell_change!(CellEvent RowEvent TableEvent TablesEvent);

macro_rules! value_change {
    ($($name:ident)*) => {$(
        impl<'a> $name<'a> {
            /// What the same transaction changed any value from and to; `None` if it did not change that value.
            pub fn value_change(&self, value_id: &str) -> Option<&'a CellChange> {
                self.net.values.get(value_id)
            }
        }
    )*};
}
value_change!(ValueEvent ValuesEvent);
