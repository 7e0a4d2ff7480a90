//! What a transaction rejected.

use indexmap::IndexMap;

use crate::content::{Cell, Id};

/// The rejected writes to one cell in one transaction.
///
/// An id that is not known is `None`: the cell, for a row without cells; the row, for a row that was to be added; and
/// so on up to a set of tables without a single table.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct InvalidCell {
    /// The table, if the write concerned one table.
    pub table_id: Option<Id>,
    /// The row, if the write concerned one row that has an id already.
    pub row_id: Option<Id>,
    /// The cell, if the write concerned one cell.
    pub cell_id: Option<Id>,
    /// The rejected cells, in order; `None` where a cell was missing.
    pub cells: Vec<Option<Cell>>,
}

/// The rejected writes to one value in one transaction.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct InvalidValue {
    /// The value, if the write concerned one value; `None` where no values were given at all.
    pub value_id: Option<Id>,
    /// The rejected values, in order; `None` where a value was missing.
    pub values: Vec<Option<Cell>>,
}

/// Everything that was rejected, in the order in which it was offered.
#[derive(Clone, Debug, Default)]
pub(super) struct Invalid {
    cells: Vec<([Option<Id>; 3], Option<Cell>)>,
    values: Vec<(Option<Id>, Option<Cell>)>,
}

impl Invalid {
    /// Records a cell, or with fewer than three ids a row, a table or all tables.
    pub(super) fn cell(&mut self, ids: &[&Id], cell: Option<&Cell>) {
        let id = |index: usize| ids.get(index).map(|id| Id::clone(id));
        self.cells.push(([id(0), id(1), id(2)], cell.cloned()));
    }

    /// Records a cell of a row that may have no id yet.
    pub(super) fn cell_of(&mut self, table_id: &Id, row_id: Option<&Id>, cell_id: Option<&Id>, cell: Option<&Cell>) {
        self.cells.push(([Some(table_id.clone()), row_id.cloned(), cell_id.cloned()], cell.cloned()));
    }

    /// Records a value, or that no values were given.
    pub(super) fn value(&mut self, value_id: Option<&Id>, value: Option<&Cell>) {
        self.values.push((value_id.cloned(), value.cloned()));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.cells.is_empty() && self.values.is_empty()
    }

    /// Adds what was rejected later.
    pub(super) fn extend(&mut self, later: Self) {
        self.cells.extend(later.cells);
        self.values.extend(later.values);
    }

    /// All rejected cells, grouped by table, row and cell, in the order of their first occurrence.
    pub(super) fn cells(&self) -> Vec<InvalidCell> {
        let mut tables: IndexMap<_, IndexMap<_, IndexMap<_, Vec<Option<Cell>>>>> = IndexMap::new();
        for ([table_id, row_id, cell_id], cell) in &self.cells {
            let cells = tables.entry(table_id).or_default().entry(row_id).or_default();
            cells.entry(cell_id).or_default().push(cell.clone());
        }
        let mut all = Vec::new();
        for (table_id, rows) in tables {
            for (row_id, row) in rows {
                all.extend(row.into_iter().map(|(cell_id, cells)| InvalidCell {
                    table_id: table_id.clone(),
                    row_id: row_id.clone(),
                    cell_id: cell_id.clone(),
                    cells,
                }));
            }
        }
        all
    }

    /// All rejected values, in the order of their first occurrence.
    pub(super) fn values(&self) -> Vec<InvalidValue> {
        let mut all: IndexMap<_, Vec<Option<Cell>>> = IndexMap::new();
        for (value_id, value) in &self.values {
            all.entry(value_id).or_default().push(value.clone());
        }
        all.into_iter().map(|(value_id, values)| InvalidValue { value_id: value_id.clone(), values }).collect()
    }
}
