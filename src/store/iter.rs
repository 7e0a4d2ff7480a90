//! TinyBase's `forEach` forms, as iterators.

use crate::content::{Cell, Id, Row, Table};

use super::Store;

/// Iterating over a store: TinyBase's `forEach` forms.
///
/// Each iterator covers the data that existed when it was made. It shares rows and cells with the store and copies none
/// of them. No lock is held between two items, so the loop may be slow, and may write.
impl Store {
    /// Iterates over the tables.
    pub fn iter_tables(&self) -> impl Iterator<Item = (Id, Table)> + use<> {
        self.tables().into_iter()
    }

    /// Iterates over the cell ids that any row of a table has, each with the number of rows that have it. Reads the
    /// whole table.
    pub fn iter_table_cells(&self, table_id: &str) -> impl Iterator<Item = (Id, usize)> + use<> {
        self.table_cell_counts(table_id).into_iter()
    }

    /// Iterates over the rows of a table.
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
    pub fn iter_rows(&self, table_id: &str) -> impl Iterator<Item = (Id, Row)> + use<> {
        self.table(table_id).into_iter()
    }

    /// Iterates over the cells of a row.
    pub fn iter_cells(&self, table_id: &str, row_id: &str) -> impl Iterator<Item = (Id, Cell)> + use<> {
        self.row(table_id, row_id).into_iter()
    }

    /// Iterates over the values.
    pub fn iter_values(&self) -> impl Iterator<Item = (Id, Cell)> + use<> {
        self.values().into_iter()
    }
}
