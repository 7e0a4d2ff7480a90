//! Writing to a store.

use crate::{
    content::{Cell, Changes, Content, Id, Map, Row, Table, Tables, Values},
    error::{Error, ErrorKind, Result},
};

use super::Store;

/// Writing. Each of these is one transaction, or a part of the one that is open on this thread.
///
/// They fail, and change nothing, where an argument cannot be taken ([`ErrorKind::Invalid`]), and where a listener that
/// writes again and again is stopped ([`ErrorKind::Callback`]). Deleting what is not there is no error. Writing what is
/// there already is no change, and nobody is told.
impl Store {
    /// Sets one cell.
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

    /// Sets one cell to what `update` makes of its present one: TinyBase's `setCell` with a function.
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

    /// Sets one row: the given cells are set, the others deleted. A row without cells changes nothing, as in TinyBase.
    pub fn set_row<I: Into<Id>, C: TryInto<Cell, Error: Into<Error>>>(
        &self,
        table_id: impl Into<Id>,
        row_id: impl Into<Id>,
        row: impl IntoIterator<Item = (I, C)>,
    ) -> Result<()> {
        let (table_id, row_id, row) = (table_id.into(), row_id.into(), cells(row)?);
        self.write(|writer| writer.set_row(&table_id, &row_id, &row))
    }

    /// Sets the given cells of one row, and leaves the others.
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
    /// next one that the table has not given out. A row needs at least one cell.
    ///
    /// Two clients that add a row to the same table at the same time give it the same id; where that may happen,
    /// choose the id and use [`Store::set_row`].
    pub fn add_row<I: Into<Id>, C: TryInto<Cell, Error: Into<Error>>>(
        &self,
        table_id: impl Into<Id>,
        row: impl IntoIterator<Item = (I, C)>,
    ) -> Result<Id> {
        self.add(table_id.into(), cells(row)?, true)
    }

    /// Adds a row under an id that no deleted row of the table had: TinyBase's `addRow` with `reuseRowIds` off.
    pub fn add_row_with_new_id<I: Into<Id>, C: TryInto<Cell, Error: Into<Error>>>(
        &self,
        table_id: impl Into<Id>,
        row: impl IntoIterator<Item = (I, C)>,
    ) -> Result<Id> {
        self.add(table_id.into(), cells(row)?, false)
    }

    /// Sets one table: the given rows are set, the others deleted. A table without cells changes nothing.
    pub fn set_table(&self, table_id: impl Into<Id>, table: &Table) -> Result<()> {
        let table_id = table_id.into();
        self.write(|writer| writer.set_table(&table_id, table))
    }

    /// Sets all tables: the given ones are set, the others deleted. Tables without cells change nothing; to delete all
    /// there is [`Store::del_tables`].
    pub fn set_tables(&self, tables: &Tables) -> Result<()> {
        self.write(|writer| writer.set_tables(tables))
    }

    /// Sets one value.
    pub fn set_value<C: TryInto<Cell, Error: Into<Error>>>(&self, value_id: impl Into<Id>, value: C) -> Result<()> {
        let value = value.try_into().map_err(Into::into)?;
        let value_id = value_id.into();
        self.write(|writer| writer.set_value(&value_id, &value))
    }

    /// Sets one value to what `update` makes of the present one: TinyBase's `setValue` with a function.
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

    /// Sets all values: the given ones are set, the others deleted. None at all change nothing; to delete all there is
    /// [`Store::del_values`].
    pub fn set_values<I: Into<Id>, C: TryInto<Cell, Error: Into<Error>>>(
        &self,
        values: impl IntoIterator<Item = (I, C)>,
    ) -> Result<()> {
        let values: Values = cells(values)?;
        self.write(|writer| writer.set_values(&values))
    }

    /// Sets the given values, and leaves the others.
    pub fn set_partial_values<I: Into<Id>, C: TryInto<Cell, Error: Into<Error>>>(
        &self,
        values: impl IntoIterator<Item = (I, C)>,
    ) -> Result<()> {
        let values: Values = cells(values)?;
        self.write(|writer| writer.set_partial_values(&values))
    }

    /// Sets everything. Here an empty half clears: `Content::new()` leaves nothing. A half that mentions tables
    /// without a single cell changes nothing in that half, as in TinyBase.
    pub fn set_content(&self, content: &Content) -> Result<()> {
        self.write(|writer| writer.set_content(content))
    }

    /// Applies changes, all of them, and touches nothing that they do not mention.
    pub fn apply_changes(&self, changes: &Changes) -> Result<()> {
        self.write(|writer| writer.apply(changes))
    }

    /// Applies what a place holds now, to the letter: no schema refuses any of it, or adds to it.
    pub(crate) fn apply_confirmed(&self, changes: &Changes) -> Result<()> {
        self.write(|writer| writer.apply_confirmed(changes))
    }

    /// Deletes one cell. A row does not outlive its last cell, nor a table its last row.
    pub fn del_cell(&self, table_id: &str, row_id: &str, cell_id: &str) -> Result<()> {
        self.write(|writer| writer.del_cell(table_id, row_id, cell_id))
    }

    /// Deletes one cell even if it has a default, which [`Store::del_cell`] would set it to. The other cells of the row
    /// stay, where TinyBase's `delCell` with `forceDel` deletes them all.
    pub fn force_del_cell(&self, table_id: &str, row_id: &str, cell_id: &str) -> Result<()> {
        self.write(|writer| writer.edit.del_cell(table_id, row_id, cell_id))
    }

    /// Deletes one row.
    pub fn del_row(&self, table_id: &str, row_id: &str) -> Result<()> {
        self.write(|writer| writer.edit.del_row(table_id, row_id))
    }

    /// Deletes one table.
    pub fn del_table(&self, table_id: &str) -> Result<()> {
        self.write(|writer| writer.edit.del_table(table_id))
    }

    /// Deletes all tables.
    pub fn del_tables(&self) -> Result<()> {
        self.write(|writer| writer.edit.del_tables())
    }

    /// Deletes one value.
    pub fn del_value(&self, value_id: &str) -> Result<()> {
        self.write(|writer| writer.del_value(value_id))
    }

    /// Deletes all values.
    pub fn del_values(&self) -> Result<()> {
        self.write(|writer| writer.del_values())
    }

    /// One transaction whose inner failure is that of the whole, and no more than that: inside an open transaction an
    /// argument that cannot be taken fails this call, not the transaction.
    fn atomically(&self, body: impl FnOnce(&Self) -> Result<()>) -> Result<()> {
        self.transaction(|store| Ok::<_, Error>(body(store)))?
    }

    fn add(&self, table_id: Id, row: Row, reuse: bool) -> Result<Id> {
        self.write(|writer| writer.add_row(&table_id, &row, reuse))?.ok_or_else(|| {
            Error::new(ErrorKind::Invalid, "a row needs at least one cell, and whatever the schema requires of it")
        })
    }
}

/// All of the cells, or the error of the first that cannot be taken.
fn cells<I: Into<Id>, C: TryInto<Cell, Error: Into<Error>>>(
    cells: impl IntoIterator<Item = (I, C)>,
) -> Result<Map<Cell>> {
    let cells = cells.into_iter().map(|(id, cell)| Ok((id, cell.try_into().map_err(Into::into)?)));
    cells.collect()
}
