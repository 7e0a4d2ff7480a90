//! Reading a store.

use crate::content::{Cell, Content, Id, Map, Row, Table, Tables, Values};

use super::{Store, data::Data, sorted::Sort};

/// Reading. No read sees part of another thread's transaction: until that transaction is committed, a read returns the
/// data as it was before it. A thread that has a transaction open reads its own writes.
///
/// A read waits for at most one write, and a write for at most one read; neither waits for a whole transaction or for a
/// listener. Reading one cell, one row or the values takes as long as finding them, and reading one cell does not
/// allocate. A copy of a table or of the content shares its data with the store until the store changes it, in chunks
/// of 64 rows; so copying a hundred thousand rows takes some microseconds. While another thread has a transaction open,
/// a read of more than one row first makes such a copy of everything.
///
/// The results are copies. The results of several calls may not be consistent with each other, unless the calls are
/// made in one transaction. Ids are in the order of insertion.
impl Store {
    /// Returns one cell.
    pub fn cell(&self, table_id: &str, row_id: &str, cell_id: &str) -> Option<Cell> {
        self.look_at_row(table_id, row_id, |row| row?.get(cell_id).cloned())
    }

    /// Returns one row; empty if it does not exist.
    pub fn row(&self, table_id: &str, row_id: &str) -> Row {
        self.look_at_row(table_id, row_id, |row| row.cloned().unwrap_or_default())
    }

    /// Returns one table; empty if it does not exist.
    pub fn table(&self, table_id: &str) -> Table {
        self.look(|data| data.tables.get(table_id).map(|table| table.rows.clone()).unwrap_or_default())
    }

    /// Returns all tables.
    pub fn tables(&self) -> Tables {
        self.look(Data::tables)
    }

    /// Returns one value.
    pub fn value(&self, value_id: &str) -> Option<Cell> {
        self.look_at_values(|values| values.get(value_id).cloned())
    }

    /// Returns all values.
    pub fn values(&self) -> Values {
        self.look_at_values(Row::clone)
    }

    /// Returns all tables and values.
    pub fn content(&self) -> Content {
        self.look(Data::content)
    }

    /// Whether the cell exists.
    pub fn has_cell(&self, table_id: &str, row_id: &str, cell_id: &str) -> bool {
        self.look_at_row(table_id, row_id, |row| row.is_some_and(|row| row.contains(cell_id)))
    }

    /// Whether the row exists.
    pub fn has_row(&self, table_id: &str, row_id: &str) -> bool {
        self.look_at_row(table_id, row_id, |row| row.is_some())
    }

    /// Whether the table exists.
    pub fn has_table(&self, table_id: &str) -> bool {
        self.look(|data| data.tables.contains(table_id))
    }

    /// Whether any row of the table has the cell.
    pub fn has_table_cell(&self, table_id: &str, cell_id: &str) -> bool {
        self.look(|data| {
            let rows = data.tables.get(table_id).into_iter().flat_map(|table| table.rows.iter());
            rows.into_iter().any(|(_, row)| row.contains(cell_id))
        })
    }

    /// Whether there is any table.
    pub fn has_tables(&self) -> bool {
        self.look(|data| !data.tables.is_empty())
    }

    /// Whether the value exists.
    pub fn has_value(&self, value_id: &str) -> bool {
        self.look_at_values(|values| values.contains(value_id))
    }

    /// Whether there is any value.
    pub fn has_values(&self) -> bool {
        self.look_at_values(|values| !values.is_empty())
    }

    /// Returns the ids of the tables.
    pub fn table_ids(&self) -> Vec<Id> {
        self.look(|data| data.tables.keys().cloned().collect())
    }

    /// Returns the ids of a table's rows.
    pub fn row_ids(&self, table_id: &str) -> Vec<Id> {
        self.look(|data| {
            let table = data.tables.get(table_id);
            table.map(|table| table.rows.keys().cloned().collect()).unwrap_or_default()
        })
    }

    /// Returns the number of rows of a table.
    pub fn row_count(&self, table_id: &str) -> usize {
        self.look(|data| data.tables.get(table_id).map_or(0, |table| table.rows.len()))
    }

    /// Returns the ids of a row's cells.
    pub fn cell_ids(&self, table_id: &str, row_id: &str) -> Vec<Id> {
        self.look_at_row(table_id, row_id, |row| row.into_iter().flat_map(Row::keys).cloned().collect())
    }

    /// Returns the ids of the cells that any row of a table has, each once, in the order of the rows and of their
    /// cells. Reads the whole table.
    pub fn table_cell_ids(&self, table_id: &str) -> Vec<Id> {
        self.table_cell_counts(table_id).into_iter().map(|(id, _)| id).collect()
    }

    /// The cells that any row of a table has, and how many rows have them.
    pub(super) fn table_cell_counts(&self, table_id: &str) -> Map<usize> {
        self.look(|data| {
            let mut counts = Map::new();
            for (_, row) in data.tables.get(table_id).into_iter().flat_map(|table| table.rows.iter()) {
                row.keys().for_each(|cell_id| *counts.get_or_default(cell_id) += 1);
            }
            counts
        })
    }

    /// Returns the ids of the values.
    pub fn value_ids(&self) -> Vec<Id> {
        self.look_at_values(|values| values.keys().cloned().collect())
    }

    /// How many rows have a cell; counts up to `enough`.
    pub(super) fn rows_with_cell(&self, table_id: &str, cell_id: &str, enough: usize) -> usize {
        self.look(|data| {
            let rows = data.tables.get(table_id).into_iter().flat_map(|table| table.rows.iter());
            rows.filter(|(_, row)| row.contains(cell_id)).take(enough).count()
        })
    }

    /// Returns the ids of a table's rows, sorted and limited by `sort`. Empty if the table does not exist.
    pub fn sorted_row_ids(&self, table_id: &str, sort: &Sort) -> Vec<Id> {
        let rows = self.look(|data| {
            let rows = data.tables.get(table_id).into_iter().flat_map(|table| table.rows.iter());
            rows.map(|(id, row)| (sort.key(id, |cell_id| row.get(cell_id)), id.clone())).collect()
        });
        sort.sorted(rows)
    }

    fn look<R>(&self, look: impl FnOnce(&Data) -> R) -> R {
        self.shared.look(look)
    }

    /// Calls `look` with one row, without a copy of all the data.
    fn look_at_row<R>(&self, table_id: &str, row_id: &str, look: impl FnOnce(Option<&Row>) -> R) -> R {
        let state = self.shared.state();
        if !state.is_written_elsewhere() {
            return look(state.data.row(table_id, row_id));
        }
        look(state.committed_row(table_id, row_id).as_ref())
    }

    fn look_at_values<R>(&self, look: impl FnOnce(&Row) -> R) -> R {
        let state = self.shared.state();
        if !state.is_written_elsewhere() {
            return look(&state.data.values);
        }
        look(&state.committed_values())
    }
}
