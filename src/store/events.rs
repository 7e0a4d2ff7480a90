//! The events that listeners receive.

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

        /// Any event, for code that passes events on.
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
    /// A write offered a cell, a row, a table or tables that a schema refuses, or that are empty.
    ///
    /// An id that is not known (such as the cell, for a row without cells) is `None`. Only listeners to
    /// [`ANY`](crate::ANY) in that position are notified then.
    InvalidCellEvent {
        /// The table, if the write concerned one table.
        table_id: Option<&'a Id>,
        /// The row, if the write concerned one row that has an id already.
        row_id: Option<&'a Id>,
        /// The cell, if the write concerned one cell.
        cell_id: Option<&'a Id>,
        /// The rejected cells of this transaction, in order; `None` where a cell was missing.
        cells: &'a [Option<Cell>],
    }
    /// The first table was added, or the last one was removed.
    HasTablesEvent {
        /// Whether there are tables now.
        has: bool,
    }
    /// Tables were added or removed.
    TableIdsEvent {
        /// The ids that were added or removed, each with its change.
        ids: &'a Map<IdChange>,
    }
    /// A table was added or removed.
    HasTableEvent {
        /// The table.
        table_id: &'a Id,
        /// Whether it exists now.
        has: bool,
    }
    /// The first row of a table got a cell id, or the last row that had it lost it.
    TableCellIdsEvent {
        /// The table.
        table_id: &'a Id,
        /// The ids that were added or removed, each with its change.
        ids: &'a Map<IdChange>,
    }
    /// The first row of a table got this cell id, or the last row that had it lost it.
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
    /// Rows of one table were added or removed.
    RowIdsEvent {
        /// The table.
        table_id: &'a Id,
        /// The ids that were added or removed, each with its change.
        ids: &'a Map<IdChange>,
    }
    /// A row was added or removed.
    HasRowEvent {
        /// The row's table.
        table_id: &'a Id,
        /// The row.
        row_id: &'a Id,
        /// Whether it exists now.
        has: bool,
    }
    /// Cells of one row were added or removed.
    CellIdsEvent {
        /// The row's table.
        table_id: &'a Id,
        /// The row.
        row_id: &'a Id,
        /// The ids that were added or removed, each with its change.
        ids: &'a Map<IdChange>,
    }
    /// A cell was added or removed.
    HasCellEvent {
        /// The cell's table.
        table_id: &'a Id,
        /// The cell's row.
        row_id: &'a Id,
        /// The cell.
        cell_id: &'a Id,
        /// Whether it exists now.
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
        /// The content before the transaction; `None` if the cell did not exist.
        old: Option<&'a Cell>,
        /// The content after the transaction; `None` if the cell does not exist.
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
    /// A write offered a value that a schema refuses, or no values at all.
    InvalidValueEvent {
        /// The value, if the write concerned one value.
        value_id: Option<&'a Id>,
        /// The rejected values of this transaction, in order; `None` where a value was missing.
        values: &'a [Option<Cell>],
    }
    /// The first value was added, or the last one was removed.
    HasValuesEvent {
        /// Whether there are values now.
        has: bool,
    }
    /// Values were added or removed.
    ValueIdsEvent {
        /// The ids that were added or removed, each with its change.
        ids: &'a Map<IdChange>,
    }
    /// A value was added or removed.
    HasValueEvent {
        /// The value.
        value_id: &'a Id,
        /// Whether it exists now.
        has: bool,
    }
    /// One value changed.
    ValueEvent {
        /// The value.
        value_id: &'a Id,
        /// The value before the transaction; `None` if it did not exist.
        old: Option<&'a Cell>,
        /// The value after the transaction; `None` if it does not exist.
        new: Option<&'a Cell>,
    } + net: &'a Net
    /// Some of the values changed.
    ValuesEvent {
    } + net: &'a Net
}

/// The sorted row ids of a table, or of the requested page of it, changed.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct SortedRowIdsEvent<'a> {
    /// The store, to read and to write.
    pub store: &'a Store,
    /// The table.
    pub table_id: &'a Id,
    /// How the rows are sorted, and which of them are requested.
    pub sort: &'a Sort,
    /// The ids now.
    pub row_ids: &'a [Id],
}

/// A transaction starts, is about to finish, or is finished.
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
    /// A deleted table is reported at the level of tables, a deleted row at the level of rows, and everything else at
    /// the level of cells. A cell that was set and then restored is not mentioned. While the transaction is open, these
    /// are the changes so far, including those by other listeners.
    pub fn changes(&self) -> Changes {
        match self.stage {
            Stage::Open => self.store.transaction_changes(),
            Stage::Over(told) => told.net.changes(),
        }
    }

    /// The net changes of the transaction at every level, as of the same moment as [`TransactionEvent::changes`].
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
            /// Returns the change that the same transaction made to any cell; `None` if it did not change that cell.
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
            /// Returns the change that the same transaction made to any value; `None` if it did not change that value.
            pub fn value_change(&self, value_id: &str) -> Option<&'a CellChange> {
                self.net.values.get(value_id)
            }
        }
    )*};
}
value_change!(ValueEvent ValuesEvent);
