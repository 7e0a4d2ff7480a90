//! What listeners are told.

use crate::content::{Cell, Changes, Id, Map};

use super::{
    Store,
    net::{CellChange, IdChange, Net, TransactionLog},
};

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident),* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        #[non_exhaustive]
        pub struct $name<'a> {
            /// The store, to read and to write.
            pub store: &'a Store,
            $($(#[$field_doc])* pub $field: &'a Id,)*
            pub(super) net: &'a Net,
        }
    )*};
}

events! {
    /// Cells of one row changed.
    RowEvent {
        /// The row's table.
        table_id,
        /// The row.
        row_id
    }
    /// Something in one table changed.
    TableEvent {
        /// The table.
        table_id
    }
    /// Something in the tables changed.
    TablesEvent {}
    /// Some of the values changed.
    ValuesEvent {}
}

/// One cell changed.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct CellEvent<'a> {
    /// The store, to read and to write.
    pub store: &'a Store,
    /// The cell's table.
    pub table_id: &'a Id,
    /// The cell's row.
    pub row_id: &'a Id,
    /// The cell.
    pub cell_id: &'a Id,
    /// What it held before the transaction; `None` if there was no such cell.
    pub old: Option<&'a Cell>,
    /// What it holds after it; `None` if there is no such cell.
    pub new: Option<&'a Cell>,
    pub(super) net: &'a Net,
}

/// One value changed.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ValueEvent<'a> {
    /// The store, to read and to write.
    pub store: &'a Store,
    /// The value.
    pub value_id: &'a Id,
    /// What it was before the transaction; `None` if there was no such value.
    pub old: Option<&'a Cell>,
    /// What it is after it; `None` if there is no such value.
    pub new: Option<&'a Cell>,
    pub(super) net: &'a Net,
}

macro_rules! id_events {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident),* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        #[non_exhaustive]
        pub struct $name<'a> {
            /// The store, to read and to write.
            pub store: &'a Store,
            $($(#[$field_doc])* pub $field: &'a Id,)*
            /// The ids that came or went, and which of both.
            pub ids: &'a Map<IdChange>,
        }
    )*};
}

id_events! {
    /// Tables came or went.
    TableIdsEvent {}
    /// Rows of one table came or went.
    RowIdsEvent {
        /// The table.
        table_id
    }
    /// Cells of one row came or went.
    CellIdsEvent {
        /// The row's table.
        table_id,
        /// The row.
        row_id
    }
    /// Values came or went.
    ValueIdsEvent {}
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
    Start,
    WillFinish,
    DidFinish(&'a Net),
}

impl TransactionEvent<'_> {
    /// The net changes of the transaction: TinyBase's `getTransactionChanges`.
    ///
    /// A deleted table counts at the level of tables, a deleted row at that of rows, everything else at that of cells;
    /// what was set and set back is not mentioned. At the start nothing has changed. When the transaction is about to
    /// finish, these are the changes so far, other listeners' included.
    pub fn changes(&self) -> Changes {
        match self.stage {
            Stage::Start => Changes::new(),
            Stage::WillFinish => self.store.open_net().changes(),
            Stage::DidFinish(net) => net.changes(),
        }
    }

    /// What the transaction changed at every level, as of when [`TransactionEvent::changes`] would tell it.
    pub fn log(&self) -> TransactionLog {
        match self.stage {
            Stage::Start => TransactionLog::default(),
            Stage::WillFinish => self.store.open_net().log(),
            Stage::DidFinish(net) => net.log(),
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

/// Any event, for those who carry them.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event<'a> {
    Cell(CellEvent<'a>),
    CellIds(CellIdsEvent<'a>),
    Row(RowEvent<'a>),
    RowIds(RowIdsEvent<'a>),
    Table(TableEvent<'a>),
    TableIds(TableIdsEvent<'a>),
    Tables(TablesEvent<'a>),
    Value(ValueEvent<'a>),
    ValueIds(ValueIdsEvent<'a>),
    Values(ValuesEvent<'a>),
    Transaction(TransactionEvent<'a>),
}
