//! What transactions changed in the end: old and new, and nothing of what came and went between.

use crate::content::{Cell, Changes, Map};

use super::invalid::{InvalidCell, InvalidValue};

/// The net difference that one transaction made, or several.
#[derive(Clone, Debug, Default)]
pub(super) struct Net {
    pub(super) tables: Map<NetTable>,
    pub(super) values: Map<CellChange>,
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

/// What a cell or a value held before a transaction, and what it holds after it; `None` is no such cell or value.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CellChange {
    /// What it held before.
    pub old: Option<Cell>,
    /// What it holds now.
    pub new: Option<Cell>,
}

/// What one transaction changed, at every level: TinyBase's `getTransactionLog`.
///
/// Net differences only; what was set and set back is not mentioned.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct TransactionLog {
    /// Whether any cell was written to, even if nothing came of it.
    pub cells_touched: bool,
    /// Whether any value was written to, even if nothing came of it.
    pub values_touched: bool,
    /// Cells, by table, row and cell.
    pub changed_cells: Map<Map<Map<CellChange>>>,
    /// What was offered for cells and could not be taken, by table, row and cell.
    pub invalid_cells: Vec<InvalidCell>,
    /// Values.
    pub changed_values: Map<CellChange>,
    /// What was offered for values and could not be taken.
    pub invalid_values: Vec<InvalidValue>,
    /// Tables that came or went.
    pub changed_table_ids: Map<IdChange>,
    /// Rows that came or went, by table.
    pub changed_row_ids: Map<Map<IdChange>>,
    /// Cells that came or went, by table and row.
    pub changed_cell_ids: Map<Map<Map<IdChange>>>,
    /// Values that came or went.
    pub changed_value_ids: Map<IdChange>,
}

/// Whether an id came or went: TinyBase's 1 and -1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IdChange {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
}

impl Net {
    pub(super) fn is_empty(&self) -> bool {
        self.tables.is_empty() && self.values.is_empty()
    }

    /// Adds what was changed later.
    pub(super) fn extend(&mut self, later: Self) {
        if self.is_empty() {
            *self = later;
            return;
        }
        for (table_id, later) in later.tables {
            let Some(table) = self.tables.get_mut(&table_id) else {
                self.tables.insert(table_id, later);
                continue;
            };
            table.extend(later);
            if table.rows.is_empty() {
                self.tables.remove(&table_id);
            }
        }
        extend(&mut self.values, later.values);
    }

    /// What is gone at the highest level at which it is gone, else cells, as TinyBase's `getTransactionChanges`.
    pub(super) fn changes(&self) -> Changes {
        let cells = |cells: &Map<CellChange>| cells.iter().map(|(id, change)| (id, change.new.clone())).collect();
        let rows = |table: &NetTable| {
            table.rows.iter().map(|(id, row)| (id, (row.after || !row.before).then(|| cells(&row.cells)))).collect()
        };
        let tables = self.tables.iter().map(|(id, table)| (id, (table.after || !table.before).then(|| rows(table))));
        Changes { tables: tables.collect(), values: cells(&self.values) }
    }

    pub(super) fn log(&self) -> TransactionLog {
        let mut log = TransactionLog { changed_values: self.values.clone(), ..TransactionLog::default() };
        log.changed_table_ids = self.table_ids();
        log.changed_value_ids = cell_ids(&self.values);
        for (table_id, table) in &self.tables {
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
        ids(&self.tables, |table| (table.before, table.after))
    }

    pub(super) fn cell(&self, table_id: &str, row_id: &str, cell_id: &str) -> Option<&CellChange> {
        self.tables.get(table_id)?.rows.get(row_id)?.cells.get(cell_id)
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

/// Which cells of a row came or went, or which values.
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
