//! Reading a store.

use crate::content::{Cell, Content, Id, Map, Row, Table, Tables, Values};

use super::{Store, data::Data, sorted::Sort};

/// Reading. Nothing is read in the middle of another thread's transaction: such a read waits for its end, though not
/// for the listeners that are told of it. In a transaction of its own a thread reads what it wrote.
///
/// What is returned is a copy, and what several calls return need not fit together, unless they are made in one
/// transaction. Ids are in the order in which they were inserted.
impl Store {
    /// One cell.
    pub fn cell(&self, table_id: &str, row_id: &str, cell_id: &str) -> Option<Cell> {
        self.look(|data| data.cell(table_id, row_id, cell_id).cloned())
    }

    /// One row; empty if there is none.
    pub fn row(&self, table_id: &str, row_id: &str) -> Row {
        self.look(|data| data.row(table_id, row_id).cloned().unwrap_or_default())
    }

    /// One table; empty if there is none.
    pub fn table(&self, table_id: &str) -> Table {
        self.look(|data| data.tables.get(table_id).map(|table| table.to_table()).unwrap_or_default())
    }

    /// All tables.
    pub fn tables(&self) -> Tables {
        self.look(Data::tables)
    }

    /// One value.
    pub fn value(&self, value_id: &str) -> Option<Cell> {
        self.look(|data| data.values.get(value_id).cloned())
    }

    /// All values.
    pub fn values(&self) -> Values {
        self.look(|data| data.values.clone())
    }

    /// Everything.
    pub fn content(&self) -> Content {
        self.look(Data::content)
    }

    /// Whether there is such a cell.
    pub fn has_cell(&self, table_id: &str, row_id: &str, cell_id: &str) -> bool {
        self.look(|data| data.cell(table_id, row_id, cell_id).is_some())
    }

    /// Whether there is such a row.
    pub fn has_row(&self, table_id: &str, row_id: &str) -> bool {
        self.look(|data| data.row(table_id, row_id).is_some())
    }

    /// Whether there is such a table.
    pub fn has_table(&self, table_id: &str) -> bool {
        self.look(|data| data.tables.contains(table_id))
    }

    /// Whether some row of the table has such a cell.
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

    /// Whether there is such a value.
    pub fn has_value(&self, value_id: &str) -> bool {
        self.look(|data| data.values.contains(value_id))
    }

    /// Whether there is any value.
    pub fn has_values(&self) -> bool {
        self.look(|data| !data.values.is_empty())
    }

    /// The ids of the tables.
    pub fn table_ids(&self) -> Vec<Id> {
        self.look(|data| data.tables.keys().cloned().collect())
    }

    /// The ids of a table's rows.
    pub fn row_ids(&self, table_id: &str) -> Vec<Id> {
        self.look(|data| {
            let table = data.tables.get(table_id);
            table.map(|table| table.rows.keys().cloned().collect()).unwrap_or_default()
        })
    }

    /// How many rows a table has.
    pub fn row_count(&self, table_id: &str) -> usize {
        self.look(|data| data.tables.get(table_id).map_or(0, |table| table.rows.len()))
    }

    /// The ids of a row's cells.
    pub fn cell_ids(&self, table_id: &str, row_id: &str) -> Vec<Id> {
        self.look(|data| data.row(table_id, row_id).into_iter().flat_map(Map::keys).cloned().collect())
    }

    /// The ids of the cells that any row of a table has, each once, in the order of the rows and of their cells. Reads the
    /// whole table.
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

    /// The ids of the values.
    pub fn value_ids(&self) -> Vec<Id> {
        self.look(|data| data.values.keys().cloned().collect())
    }

    /// How many rows have a cell, or `enough` if there are more.
    pub(super) fn rows_with_cell(&self, table_id: &str, cell_id: &str, enough: usize) -> usize {
        self.look(|data| {
            let rows = data.tables.get(table_id).into_iter().flat_map(|table| table.rows.iter());
            rows.filter(|(_, row)| row.contains(cell_id)).take(enough).count()
        })
    }

    /// The ids of some of a table's rows, sorted as [`Sort`] says. None if there is no such table.
    pub fn sorted_row_ids(&self, table_id: &str, sort: &Sort) -> Vec<Id> {
        let rows = self.look(|data| {
            let rows = data.tables.get(table_id).into_iter().flat_map(|table| table.rows.iter());
            rows.map(|(id, row)| (sort.key(id, |cell_id| row.get(cell_id)), id.clone())).collect()
        });
        sort.sorted(rows)
    }

    /// Reads with the state locked: `look` is this crate's code alone.
    fn look<R>(&self, look: impl FnOnce(&Data) -> R) -> R {
        look(&self.shared.read().data)
    }
}
