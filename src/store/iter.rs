//! TinyBase's `forEach` forms, as iterators.

use crate::content::{Cell, Id, Row, Table};

use super::Store;

/// Going through a store: TinyBase's `forEach` forms.
///
/// No lock is held between two items, so the loop may do what it likes, and write too. The ids are those that were there
/// when the iterator was made; each item is read when it is reached, and left out if it is gone by then. In a
/// transaction nobody else can change anything meanwhile. A cell is shared, not copied.
impl Store {
    /// The tables, each copied when it is reached.
    pub fn iter_tables(&self) -> impl Iterator<Item = (Id, Table)> {
        self.table_ids().into_iter().filter_map(|table_id| {
            let table = self.table(&table_id);
            (!table.is_empty()).then_some((table_id, table))
        })
    }

    /// The cells that any row of a table has, and how many rows have them. Reads the whole table.
    pub fn iter_table_cells(&self, table_id: &str) -> impl Iterator<Item = (Id, usize)> {
        self.table_cell_counts(table_id).into_iter()
    }

    /// The rows of a table, each copied when it is reached.
    ///
    /// ```
    /// use roommate::{Cell, Store};
    ///
    /// let store = Store::new();
    /// store.set_cell("pets", "fido", "legs", 4)?;
    /// store.set_cell("pets", "polly", "legs", 2)?;
    /// let legs: f64 = store.iter_rows("pets").filter_map(|(_, pet)| pet.get("legs").and_then(Cell::as_f64)).sum();
    /// assert_eq!(legs, 6.0);
    /// # Ok::<(), roommate::Error>(())
    /// ```
    pub fn iter_rows<'a>(&'a self, table_id: &'a str) -> impl Iterator<Item = (Id, Row)> + 'a {
        self.row_ids(table_id).into_iter().filter_map(move |row_id| {
            let row = self.row(table_id, &row_id);
            (!row.is_empty()).then_some((row_id, row))
        })
    }

    /// The cells of a row, as they are now.
    pub fn iter_cells(&self, table_id: &str, row_id: &str) -> impl Iterator<Item = (Id, Cell)> {
        self.row(table_id, row_id).into_iter()
    }

    /// The values, as they are now.
    pub fn iter_values(&self) -> impl Iterator<Item = (Id, Cell)> {
        self.values().into_iter()
    }
}
