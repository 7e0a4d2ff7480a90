//! Writing to a store.

use crate::{
    content::{Cell, Changes, Content, Id, Row, Table, Tables, Values},
    error::{Error, ErrorKind, Result},
};

use super::Store;

/// Writing. Each method is one transaction, or a part of the transaction that is open on this thread.
///
/// A method that fails changes nothing. Each method lists its errors. Deleting what does not exist is not an error.
/// Writing what is stored already is no change, and is not reported to listeners.
impl Store {
    /// Sets one cell.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Invalid`], and changes nothing, if `cell` cannot become a [`Cell`]: a number that is not
    /// finite, an integer beyond 2^53, a text that TinyBase reserves, or JSON that is nested deeper than 128.
    ///
    /// Returns [`ErrorKind::Callback`], and changes nothing, if listeners have written in 100 rounds in a row, or if a
    /// listener that is called before the commit runs a nested transaction that fails: see [`Store::transaction`].
    pub fn set_cell<C: TryInto<Cell, Error: Into<Error>>>(
        &self,
        table_id: impl Into<Id>,
        row_id: impl Into<Id>,
        cell_id: impl Into<Id>,
        cell: C,
    ) -> Result<()> {
        let cell = cell.try_into().map_err(Into::into)?;
        let (table_id, row_id, cell_id) = (table_id.into(), row_id.into(), cell_id.into());
        self.write(|writer| writer.set_cell(&table_id, &row_id, &cell_id, &cell))
    }

    /// Sets one cell to the result of `update`, which receives the present cell: TinyBase's `setCell` with a function.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Invalid`], and changes nothing, if the result of `update` cannot become a [`Cell`]: a
    /// number that is not finite, an integer beyond 2^53, a text that TinyBase reserves, or JSON that is nested deeper
    /// than 128.
    ///
    /// Returns [`ErrorKind::Callback`], and changes nothing, if listeners have written in 100 rounds in a row, or if a
    /// listener that is called before the commit runs a nested transaction that fails: see [`Store::transaction`].
    pub fn update_cell<C: TryInto<Cell, Error: Into<Error>>>(
        &self,
        table_id: impl Into<Id>,
        row_id: impl Into<Id>,
        cell_id: impl Into<Id>,
        update: impl FnOnce(Option<Cell>) -> C,
    ) -> Result<()> {
        let (table_id, row_id, cell_id) = (table_id.into(), row_id.into(), cell_id.into());
        self.atomically(|store| {
            let cell = update(store.cell(&table_id, &row_id, &cell_id));
            store.set_cell(table_id, row_id, cell_id, cell)
        })
    }

    /// Sets one row: sets the given cells, and deletes the others. A row without cells changes nothing, as in TinyBase.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Invalid`], and changes nothing, if one of the cells cannot become a [`Cell`]: a number that
    /// is not finite, an integer beyond 2^53, a text that TinyBase reserves, or JSON that is nested deeper than 128.
    ///
    /// Returns [`ErrorKind::Callback`], and changes nothing, if listeners have written in 100 rounds in a row, or if a
    /// listener that is called before the commit runs a nested transaction that fails: see [`Store::transaction`].
    pub fn set_row<I: Into<Id>, C: TryInto<Cell, Error: Into<Error>>>(
        &self,
        table_id: impl Into<Id>,
        row_id: impl Into<Id>,
        row: impl IntoIterator<Item = (I, C)>,
    ) -> Result<()> {
        let (table_id, row_id, row) = (table_id.into(), row_id.into(), cells(row)?);
        self.write(|writer| writer.set_row(&table_id, &row_id, &row))
    }

    /// Sets the given cells of one row, and leaves the others as they are.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Invalid`], and changes nothing, if one of the cells cannot become a [`Cell`]: a number that
    /// is not finite, an integer beyond 2^53, a text that TinyBase reserves, or JSON that is nested deeper than 128.
    ///
    /// Returns [`ErrorKind::Callback`], and changes nothing, if listeners have written in 100 rounds in a row, or if a
    /// listener that is called before the commit runs a nested transaction that fails: see [`Store::transaction`].
    pub fn set_partial_row<I: Into<Id>, C: TryInto<Cell, Error: Into<Error>>>(
        &self,
        table_id: impl Into<Id>,
        row_id: impl Into<Id>,
        row: impl IntoIterator<Item = (I, C)>,
    ) -> Result<()> {
        let (table_id, row_id, row) = (table_id.into(), row_id.into(), cells(row)?);
        self.write(|writer| writer.set_partial_row(&table_id, &row_id, &row))
    }

    /// Adds a row and returns its id, which is a number: that of a deleted row of the table, if there is one, or the
    /// next number that the table has not used. A row needs at least one cell.
    ///
    /// Two clients that add a row to the same table at the same time give it the same id. Where that may happen, choose
    /// the id and use [`Store::set_row`].
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Invalid`], and changes nothing, if one of the cells cannot become a [`Cell`]: a number that
    /// is not finite, an integer beyond 2^53, a text that TinyBase reserves, or JSON that is nested deeper than 128.
    /// Also returns [`ErrorKind::Invalid`] if the row has no cells, if a schema refuses all of them, or if the row
    /// lacks a cell that the schema requires.
    ///
    /// Returns [`ErrorKind::Callback`], and changes nothing, if listeners have written in 100 rounds in a row, or if a
    /// listener that is called before the commit runs a nested transaction that fails: see [`Store::transaction`].
    pub fn add_row<I: Into<Id>, C: TryInto<Cell, Error: Into<Error>>>(
        &self,
        table_id: impl Into<Id>,
        row: impl IntoIterator<Item = (I, C)>,
    ) -> Result<Id> {
        self.add(table_id.into(), cells(row)?, true)
    }

    /// Adds a row under an id that no deleted row of the table had: TinyBase's `addRow` with `reuseRowIds` off.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Invalid`], and changes nothing, if one of the cells cannot become a [`Cell`]: a number that
    /// is not finite, an integer beyond 2^53, a text that TinyBase reserves, or JSON that is nested deeper than 128.
    /// Also returns [`ErrorKind::Invalid`] if the row has no cells, if a schema refuses all of them, or if the row
    /// lacks a cell that the schema requires.
    ///
    /// Returns [`ErrorKind::Callback`], and changes nothing, if listeners have written in 100 rounds in a row, or if a
    /// listener that is called before the commit runs a nested transaction that fails: see [`Store::transaction`].
    pub fn add_row_with_new_id<I: Into<Id>, C: TryInto<Cell, Error: Into<Error>>>(
        &self,
        table_id: impl Into<Id>,
        row: impl IntoIterator<Item = (I, C)>,
    ) -> Result<Id> {
        self.add(table_id.into(), cells(row)?, false)
    }

    /// Sets one table: sets the given rows, and deletes the others. A table without cells changes nothing.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Callback`], and changes nothing, if listeners have written in 100 rounds in a row, or if a
    /// listener that is called before the commit runs a nested transaction that fails: see [`Store::transaction`].
    pub fn set_table(&self, table_id: impl Into<Id>, table: &Table) -> Result<()> {
        let table_id = table_id.into();
        self.write(|writer| writer.set_table(&table_id, table))
    }

    /// Sets all tables: sets the given ones, and deletes the others. Tables without cells change nothing; use
    /// [`Store::del_tables`] to delete all tables.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Callback`], and changes nothing, if listeners have written in 100 rounds in a row, or if a
    /// listener that is called before the commit runs a nested transaction that fails: see [`Store::transaction`].
    pub fn set_tables(&self, tables: &Tables) -> Result<()> {
        self.write(|writer| writer.set_tables(tables))
    }

    /// Sets one value.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Invalid`], and changes nothing, if `value` cannot become a [`Cell`]: a number that is not
    /// finite, an integer beyond 2^53, a text that TinyBase reserves, or JSON that is nested deeper than 128.
    ///
    /// Returns [`ErrorKind::Callback`], and changes nothing, if listeners have written in 100 rounds in a row, or if a
    /// listener that is called before the commit runs a nested transaction that fails: see [`Store::transaction`].
    pub fn set_value<C: TryInto<Cell, Error: Into<Error>>>(&self, value_id: impl Into<Id>, value: C) -> Result<()> {
        let value = value.try_into().map_err(Into::into)?;
        let value_id = value_id.into();
        self.write(|writer| writer.set_value(&value_id, &value))
    }

    /// Sets one value to the result of `update`, which receives the present value: TinyBase's `setValue` with a
    /// function.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Invalid`], and changes nothing, if the result of `update` cannot become a [`Cell`]: a
    /// number that is not finite, an integer beyond 2^53, a text that TinyBase reserves, or JSON that is nested deeper
    /// than 128.
    ///
    /// Returns [`ErrorKind::Callback`], and changes nothing, if listeners have written in 100 rounds in a row, or if a
    /// listener that is called before the commit runs a nested transaction that fails: see [`Store::transaction`].
    pub fn update_value<C: TryInto<Cell, Error: Into<Error>>>(
        &self,
        value_id: impl Into<Id>,
        update: impl FnOnce(Option<Cell>) -> C,
    ) -> Result<()> {
        let value_id = value_id.into();
        self.atomically(|store| {
            let value = update(store.value(&value_id));
            store.set_value(value_id, value)
        })
    }

    /// Sets all values: sets the given ones, and deletes the others. An empty set of values changes nothing; use
    /// [`Store::del_values`] to delete all values.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Invalid`], and changes nothing, if one of the values cannot become a [`Cell`]: a number
    /// that is not finite, an integer beyond 2^53, a text that TinyBase reserves, or JSON that is nested deeper than
    /// 128.
    ///
    /// Returns [`ErrorKind::Callback`], and changes nothing, if listeners have written in 100 rounds in a row, or if a
    /// listener that is called before the commit runs a nested transaction that fails: see [`Store::transaction`].
    pub fn set_values<I: Into<Id>, C: TryInto<Cell, Error: Into<Error>>>(
        &self,
        values: impl IntoIterator<Item = (I, C)>,
    ) -> Result<()> {
        let values: Values = cells(values)?;
        self.write(|writer| writer.set_values(&values))
    }

    /// Sets the given values, and leaves the others as they are.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Invalid`], and changes nothing, if one of the values cannot become a [`Cell`]: a number
    /// that is not finite, an integer beyond 2^53, a text that TinyBase reserves, or JSON that is nested deeper than
    /// 128.
    ///
    /// Returns [`ErrorKind::Callback`], and changes nothing, if listeners have written in 100 rounds in a row, or if a
    /// listener that is called before the commit runs a nested transaction that fails: see [`Store::transaction`].
    pub fn set_partial_values<I: Into<Id>, C: TryInto<Cell, Error: Into<Error>>>(
        &self,
        values: impl IntoIterator<Item = (I, C)>,
    ) -> Result<()> {
        let values: Values = cells(values)?;
        self.write(|writer| writer.set_partial_values(&values))
    }

    /// Sets all tables and values. An empty half clears that half: `Content::new()` deletes everything. A half that
    /// mentions tables without a single cell changes nothing in that half, as in TinyBase.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Callback`], and changes nothing, if listeners have written in 100 rounds in a row, or if a
    /// listener that is called before the commit runs a nested transaction that fails: see [`Store::transaction`].
    pub fn set_content(&self, content: &Content) -> Result<()> {
        self.write(|writer| writer.set_content(content))
    }

    /// Applies all changes, and touches nothing that they do not mention.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Callback`], and changes nothing, if listeners have written in 100 rounds in a row, or if a
    /// listener that is called before the commit runs a nested transaction that fails: see [`Store::transaction`].
    pub fn apply_changes(&self, changes: &Changes) -> Result<()> {
        self.write(|writer| writer.apply(changes))
    }

    /// Applies what the backend holds now, exactly as it is: no schema refuses any of it, or adds to it.
    pub(crate) fn apply_confirmed(&self, changes: &Changes) -> Result<()> {
        self.write(|writer| writer.apply_confirmed(changes))
    }

    /// Deletes one cell. A row that loses its last cell is deleted, and so is a table that loses its last row.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Callback`], and changes nothing, if listeners have written in 100 rounds in a row, or if a
    /// listener that is called before the commit runs a nested transaction that fails: see [`Store::transaction`].
    pub fn del_cell(&self, table_id: &str, row_id: &str, cell_id: &str) -> Result<()> {
        self.write(|writer| writer.del_cell(table_id, row_id, cell_id))
    }

    /// Deletes one cell even if it has a default, to which [`Store::del_cell`] would reset it. The other cells of the
    /// row stay, whereas TinyBase's `delCell` with `forceDel` deletes them all.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Callback`], and changes nothing, if listeners have written in 100 rounds in a row, or if a
    /// listener that is called before the commit runs a nested transaction that fails: see [`Store::transaction`].
    pub fn force_del_cell(&self, table_id: &str, row_id: &str, cell_id: &str) -> Result<()> {
        self.write(|writer| writer.edit.del_cell(table_id, row_id, cell_id))
    }

    /// Deletes one row.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Callback`], and changes nothing, if listeners have written in 100 rounds in a row, or if a
    /// listener that is called before the commit runs a nested transaction that fails: see [`Store::transaction`].
    pub fn del_row(&self, table_id: &str, row_id: &str) -> Result<()> {
        self.write(|writer| writer.edit.del_row(table_id, row_id))
    }

    /// Deletes one table.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Callback`], and changes nothing, if listeners have written in 100 rounds in a row, or if a
    /// listener that is called before the commit runs a nested transaction that fails: see [`Store::transaction`].
    pub fn del_table(&self, table_id: &str) -> Result<()> {
        self.write(|writer| writer.edit.del_table(table_id))
    }

    /// Deletes all tables.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Callback`], and changes nothing, if listeners have written in 100 rounds in a row, or if a
    /// listener that is called before the commit runs a nested transaction that fails: see [`Store::transaction`].
    pub fn del_tables(&self) -> Result<()> {
        self.write(|writer| writer.edit.del_tables())
    }

    /// Deletes one value.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Callback`], and changes nothing, if listeners have written in 100 rounds in a row, or if a
    /// listener that is called before the commit runs a nested transaction that fails: see [`Store::transaction`].
    pub fn del_value(&self, value_id: &str) -> Result<()> {
        self.write(|writer| writer.del_value(value_id))
    }

    /// Deletes all values.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Callback`], and changes nothing, if listeners have written in 100 rounds in a row, or if a
    /// listener that is called before the commit runs a nested transaction that fails: see [`Store::transaction`].
    pub fn del_values(&self) -> Result<()> {
        self.write(|writer| writer.del_values())
    }

    /// Runs `body` in one transaction, whose result is that of `body` alone. Inside an open transaction, an invalid
    /// argument fails this call and not the transaction.
    fn atomically(&self, body: impl FnOnce(&Self) -> Result<()>) -> Result<()> {
        self.transaction(|store| Ok::<_, Error>(body(store)))?
    }

    fn add(&self, table_id: Id, row: Row, reuse: bool) -> Result<Id> {
        self.write(|writer| writer.add_row(&table_id, &row, reuse))?.ok_or_else(|| {
            Error::new(ErrorKind::Invalid, "a row needs at least one cell, and whatever the schema requires of it")
        })
    }
}

/// All of the cells, or the error of the first invalid one.
fn cells<I: Into<Id>, C: TryInto<Cell, Error: Into<Error>>>(cells: impl IntoIterator<Item = (I, C)>) -> Result<Row> {
    let cells = cells.into_iter().map(|(id, cell)| Ok((id, cell.try_into().map_err(Into::into)?)));
    cells.collect()
}
