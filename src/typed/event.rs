//! The event of a typed table.

use std::{fmt, marker::PhantomData};

use super::{TypedRow, read};
use crate::{
    content::{Id, Row},
    error::Result,
    store::{RowEvent, Store},
};

/// A row of a typed table was added or removed, or a cell of `R` in it changed.
///
/// A row is converted on each call of [`TypedRowEvent::old_row`] or [`TypedRowEvent::new_row`].
#[non_exhaustive]
pub struct TypedRowEvent<'a, R> {
    /// The store, to read and to write.
    pub store: &'a Store,
    /// The row's table.
    pub table_id: &'a Id,
    /// The row.
    pub row_id: &'a Id,
    event: &'a RowEvent<'a>,
    row: PhantomData<fn() -> R>,
}

impl<'a, R: TypedRow> TypedRowEvent<'a, R> {
    /// The event, if it concerns a cell of `R`, or the row as a whole.
    pub(super) fn of(event: &'a RowEvent<'a>) -> Option<Self> {
        let RowEvent { store, table_id, row_id, .. } = event;
        event.concerns(R::CELL_IDS).then_some(Self { store, table_id, row_id, event, row: PhantomData })
    }

    /// Returns the row before the transaction; `None` if it did not exist.
    ///
    /// # Errors
    ///
    /// As [`TypedTable::get`](super::TypedTable::get).
    pub fn old_row(&self) -> Result<Option<R>> {
        self.read(&self.event.old_row())
    }

    /// Returns the row after the transaction; `None` if it does not exist.
    ///
    /// # Errors
    ///
    /// As [`TypedTable::get`](super::TypedTable::get).
    pub fn new_row(&self) -> Result<Option<R>> {
        self.read(&self.event.new_row())
    }

    fn read(&self, row: &Row) -> Result<Option<R>> {
        read(self.table_id, self.row_id, row)
    }
}

impl<R> fmt::Debug for TypedRowEvent<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.event, f)
    }
}
