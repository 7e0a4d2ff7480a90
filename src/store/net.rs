//! The net changes of transactions: old and new states, without what was undone in between.

use std::sync::OnceLock;

use crate::content::{Cell, Changes, Id, Map, RowChanges, TableChanges};

use super::invalid::{InvalidCell, InvalidValue};

/// The net difference that one transaction made, or several.
#[derive(Clone, Debug, Default)]
pub(super) struct Net {
    /// The only cell that changed in the tables, as in most transactions.
    one: Option<OneChange>,
    /// What changed in the tables; made of `one`, if there is one, on first use.
    tables: OnceLock<Map<NetTable>>,
    pub(super) values: Map<CellChange>,
}

/// A change of one cell, in a row that existed before and still exists.
#[derive(Clone, Debug)]
pub(super) struct OneChange {
    pub(super) table_id: Id,
    pub(super) row_id: Id,
    pub(super) cell_id: Id,
    pub(super) change: CellChange,
}

/// A table in which something changed.
#[derive(Clone, Debug)]
pub(super) struct NetTable {
    /// Whether there was such a table.
    pub(super) before: bool,
    /// Whether there is one now.
    pub(super) after: bool,
    pub(super) rows: Map<NetRow>,
}

/// A row in which something changed.
#[derive(Clone, Debug)]
pub(super) struct NetRow {
    pub(super) before: bool,
    pub(super) after: bool,
    pub(super) cells: Map<CellChange>,
}

/// A cell or a value before and after a transaction; `None` means that it does not exist.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CellChange {
    /// The content before the transaction.
    pub old: Option<Cell>,
    /// The content after the transaction.
    pub new: Option<Cell>,
}

/// What one transaction changed, at every level: TinyBase's `getTransactionLog`.
///
/// Net differences only: a cell that was set and then restored is not mentioned.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct TransactionLog {
    /// Whether any cell was written to, even without a net change.
    pub cells_touched: bool,
    /// Whether any value was written to, even without a net change.
    pub values_touched: bool,
    /// Changed cells, by table, row and cell.
    pub changed_cells: Map<Map<Map<CellChange>>>,
    /// Rejected writes to cells, by table, row and cell.
    pub invalid_cells: Vec<InvalidCell>,
    /// Changed values.
    pub changed_values: Map<CellChange>,
    /// Rejected writes to values.
    pub invalid_values: Vec<InvalidValue>,
    /// Tables that were added or removed.
    pub changed_table_ids: Map<IdChange>,
    /// Rows that were added or removed, by table.
    pub changed_row_ids: Map<Map<IdChange>>,
    /// Cells that were added or removed, by table and row.
    pub changed_cell_ids: Map<Map<Map<IdChange>>>,
    /// Values that were added or removed.
    pub changed_value_ids: Map<IdChange>,
}

/// Whether an id was added or removed: TinyBase's 1 and -1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IdChange {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
}

impl Net {
    pub(super) fn of(tables: Map<NetTable>, values: Map<CellChange>) -> Self {
        Self { one: None, tables: OnceLock::from(tables), values }
    }

    pub(super) fn of_one(one: Option<OneChange>, values: Map<CellChange>) -> Self {
        Self { one, tables: OnceLock::new(), values }
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.has_cells() && self.values.is_empty()
    }

    /// Whether cells changed.
    pub(super) fn has_cells(&self) -> bool {
        self.one.is_some() || self.tables.get().is_some_and(|tables| !tables.is_empty())
    }

    /// The only cell that changed in the tables, where that is known.
    pub(super) fn one(&self) -> Option<&OneChange> {
        self.one.as_ref()
    }

    /// What changed in the tables.
    pub(super) fn tables(&self) -> &Map<NetTable> {
        self.tables.get_or_init(|| self.one.as_ref().map(OneChange::tables).unwrap_or_default())
    }

    /// Adds later changes.
    pub(super) fn extend(&mut self, later: Self) {
        if self.is_empty() {
            *self = later;
            return;
        }
        if later.has_cells() {
            self.extend_tables(later.tables());
        }
        extend(&mut self.values, later.values);
    }

    fn extend_tables(&mut self, later: &Map<NetTable>) {
        let mut tables = self.tables().clone();
        for (table_id, later) in later {
            let Some(table) = tables.get_mut(table_id) else {
                tables.insert(table_id, later.clone());
                continue;
            };
            table.extend(later.clone());
            if table.rows.is_empty() {
                tables.remove(table_id);
            }
        }
        (self.one, self.tables) = (None, OnceLock::from(tables));
    }

    /// Deletions at the highest level at which they apply, and otherwise cells, as in TinyBase's
    /// `getTransactionChanges`.
    pub(super) fn changes(&self) -> Changes {
        let cells = |cells: &Map<CellChange>| cells.iter().map(|(id, change)| (id, change.new.clone())).collect();
        let rows = |table: &NetTable| {
            table.rows.iter().map(|(id, row)| (id, (row.after || !row.before).then(|| cells(&row.cells)))).collect()
        };
        let table = |(id, table): (_, &NetTable)| (id, (table.after || !table.before).then(|| rows(table)));
        let tables = match &self.one {
            Some(one) => one.changes(),
            None => self.tables().iter().map(table).collect(),
        };
        Changes { tables, values: cells(&self.values) }
    }

    pub(super) fn log(&self) -> TransactionLog {
        let mut log = TransactionLog { changed_values: self.values.clone(), ..TransactionLog::default() };
        log.changed_table_ids = self.table_ids();
        log.changed_value_ids = cell_ids(&self.values);
        for (table_id, table) in self.tables() {
            let cells = table.rows.iter().map(|(row_id, row)| (row_id, row.cells.clone())).collect();
            log.changed_cells.insert(table_id, cells);
            let rows = table.row_ids();
            if !rows.is_empty() {
                log.changed_row_ids.insert(table_id, rows);
            }
            let rows = table.rows.iter().map(|(row_id, row)| (row_id, cell_ids(&row.cells)));
            let rows: Map<_> = rows.filter(|(_, cells)| !cells.is_empty()).collect();
            if !rows.is_empty() {
                log.changed_cell_ids.insert(table_id, rows);
            }
        }
        log
    }

    pub(super) fn table_ids(&self) -> Map<IdChange> {
        ids(self.tables(), |table| (table.before, table.after))
    }

    pub(super) fn row(&self, table_id: &str, row_id: &str) -> Option<&NetRow> {
        self.tables().get(table_id)?.rows.get(row_id)
    }

    pub(super) fn cell(&self, table_id: &str, row_id: &str, cell_id: &str) -> Option<&CellChange> {
        self.row(table_id, row_id)?.cells.get(cell_id)
    }
}

impl OneChange {
    fn tables(&self) -> Map<NetTable> {
        let cells = Map::of_one(self.cell_id.clone(), self.change.clone());
        let rows = Map::of_one(self.row_id.clone(), NetRow { before: true, after: true, cells });
        Map::of_one(self.table_id.clone(), NetTable { before: true, after: true, rows })
    }

    fn changes(&self) -> Map<Option<TableChanges>> {
        let cells = RowChanges::of_one(self.cell_id.clone(), self.change.new.clone());
        let rows = Map::of_one(self.row_id.clone(), Some(cells));
        Map::of_one(self.table_id.clone(), Some(rows))
    }
}

impl NetTable {
    pub(super) fn row_ids(&self) -> Map<IdChange> {
        ids(&self.rows, |row| (row.before, row.after))
    }

    fn extend(&mut self, later: Self) {
        self.after = later.after;
        for (row_id, later) in later.rows {
            let Some(row) = self.rows.get_mut(&row_id) else {
                self.rows.insert(row_id, later);
                continue;
            };
            row.after = later.after;
            extend(&mut row.cells, later.cells);
            if row.cells.is_empty() {
                self.rows.remove(&row_id);
            }
        }
    }
}

fn extend(changes: &mut Map<CellChange>, later: Map<CellChange>) {
    for (id, later) in later {
        let Some(change) = changes.get_mut(&id) else {
            changes.insert(id, later);
            continue;
        };
        change.new = later.new;
        if change.old == change.new {
            changes.remove(&id);
        }
    }
}

/// Which cells of a row, or which values, were added or removed.
pub(super) fn cell_ids(cells: &Map<CellChange>) -> Map<IdChange> {
    ids(cells, |CellChange { old, new }| (old.is_some(), new.is_some()))
}

fn ids<V>(changed: &Map<V>, presence: impl Fn(&V) -> (bool, bool)) -> Map<IdChange> {
    let ids = changed.iter().filter_map(|(id, change)| match presence(change) {
        (false, true) => Some((id, IdChange::Added)),
        (true, false) => Some((id, IdChange::Removed)),
        _ => None,
    });
    ids.collect()
}
