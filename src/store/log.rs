//! What a transaction replaced: enough to undo it, and to tell what it changed in the end.

use crate::content::{Cell, Id, Map, Row};

use super::{
    commit::Before,
    data::{Data, TableData},
    net::{CellChange, Net, NetRow, NetTable},
    told::Touched,
};

/// What was there when a transaction first touched it. Its size is that of what was touched.
#[derive(Debug, Default)]
pub(super) struct Log {
    tables: Map<TableLog>,
    pub(super) values: RowLog,
}

#[derive(Debug, Default)]
pub(super) struct TableLog {
    /// Where the table stood, if there was one.
    slot: Option<usize>,
    /// Whether that table was removed. Then a table of this id is another one, all rows of the old one are in `rows`,
    /// and slots there are not slots here.
    pub(super) removed: bool,
    rows: Map<SlottedRow>,
}

#[derive(Debug, Default)]
struct SlottedRow {
    /// Where the row stood, if there was one.
    slot: Option<usize>,
    old: RowLog,
}

/// How a row was, or the values were.
#[derive(Debug)]
pub(super) enum RowLog {
    /// What the cells held that were set since; nothing was removed, so the order of the others is as it was.
    Cells(Map<Option<Cell>>),
    /// All cells, in their order; none if there was no row.
    Whole(Row),
}

impl Log {
    pub(super) fn is_empty(&self) -> bool {
        self.tables.is_empty() && self.values.is_empty()
    }

    pub(super) fn touched(&self) -> Touched {
        Touched { cells: !self.tables.is_empty(), values: !self.values.is_empty() }
    }

    /// The log of a table that is about to be touched, and that stands at `slot` now.
    pub(super) fn table(&mut self, table_id: &Id, slot: Option<usize>) -> &mut TableLog {
        if !self.tables.contains(table_id) {
            self.tables.insert(table_id, TableLog { slot, ..TableLog::default() });
        }
        self.tables.get_or_default(table_id)
    }

    /// Makes everything as it was, order included.
    pub(super) fn undo(self, data: &mut Data) {
        for (table_id, log) in self.tables {
            match log.slot {
                None => {
                    data.tables.remove(&table_id);
                }
                Some(slot) if log.removed => {
                    let table = log.into_table();
                    data.tables.remove(&table_id);
                    data.tables.restore(slot, table_id, table);
                }
                Some(_) => {
                    if let Some(table) = data.tables.get_mut(&table_id) {
                        log.undo(table);
                        table.rows.compact();
                    }
                }
            }
        }
        data.tables.compact();
        match self.values {
            RowLog::Cells(cells) => undo_cells(&cells, &mut data.values),
            RowLog::Whole(values) => data.values = values,
        }
    }

    /// What differs from what was.
    pub(super) fn net(&self, data: &Data) -> Net {
        let mut net = Net::default();
        for (table_id, log) in &self.tables {
            let table = data.tables.get(table_id);
            let mut rows = Map::new();
            for (row_id, SlottedRow { slot, old }) in &log.rows {
                let row = table.and_then(|table| table.rows.get(row_id));
                let cells = old.changes(row);
                if !cells.is_empty() {
                    rows.insert(row_id, NetRow { before: slot.is_some(), after: row.is_some(), cells });
                }
            }
            if !rows.is_empty() {
                net.tables.insert(table_id, NetTable { before: log.slot.is_some(), after: table.is_some(), rows });
            }
        }
        net.values = self.values.changes(Some(&data.values));
        net
    }

    /// The whole old state of every row that was touched.
    pub(super) fn before(&self, data: &Data) -> Before {
        let mut before = Before::default();
        for (table_id, log) in &self.tables {
            let table = data.tables.get(table_id);
            let rows = log.rows.iter().map(|(row_id, SlottedRow { old, .. })| {
                let row = table.and_then(|table| table.rows.get(row_id));
                (row_id, old.whole(row))
            });
            before.tables.insert(table_id, rows.collect());
        }
        before.values = match &self.values {
            RowLog::Cells(cells) => cells.clone(),
            RowLog::Whole(_) => {
                let changes = self.values.changes(Some(&data.values));
                changes.into_iter().map(|(id, change)| (id, change.old)).collect()
            }
        };
        before
    }

    /// Closes the holes that the logged removals left. Slots in this log mean nothing afterwards.
    pub(super) fn compact(&self, data: &mut Data) {
        for table_id in self.tables.keys() {
            if let Some(table) = data.tables.get_mut(table_id) {
                table.rows.compact();
            }
        }
        data.tables.compact();
    }
}

impl TableLog {
    /// The log of a row that is about to be touched, and that stands at `slot` now.
    pub(super) fn row(&mut self, row_id: &Id, slot: Option<usize>) -> &mut RowLog {
        if !self.rows.contains(row_id) {
            self.rows.insert(row_id, SlottedRow { slot, ..SlottedRow::default() });
        }
        &mut self.rows.get_or_default(row_id).old
    }

    fn undo(self, table: &mut TableData) {
        for (row_id, SlottedRow { slot, old }) in self.rows {
            match (slot, old) {
                (None, _) => {
                    if table.rows.remove(&row_id).is_some() {
                        table.pool.release(&row_id);
                    }
                }
                (Some(_), RowLog::Cells(cells)) => {
                    if let Some(row) = table.rows.get_mut(&row_id) {
                        undo_cells(&cells, row);
                    }
                }
                (Some(slot), RowLog::Whole(row)) => {
                    table.rows.remove(&row_id);
                    table.rows.restore(slot, row_id, row);
                }
            }
        }
    }

    /// The removed table.
    fn into_table(self) -> TableData {
        let mut rows: Vec<_> = self.rows.into_iter().filter_map(|(id, row)| Some((row.slot?, id, row.old))).collect();
        rows.sort_unstable_by_key(|(slot, ..)| *slot);
        let mut table = TableData::default();
        for (slot, (_, row_id, old)) in rows.into_iter().enumerate() {
            table.rows.restore(slot, row_id, old.whole(None));
        }
        table
    }
}

impl RowLog {
    fn is_empty(&self) -> bool {
        matches!(self, Self::Cells(cells) if cells.is_empty())
    }

    /// Notes what a cell held that was set.
    pub(super) fn note(&mut self, cell_id: &Id, old: Option<Cell>) {
        if let Self::Cells(cells) = self
            && !cells.contains(cell_id)
        {
            cells.insert(cell_id, old);
        }
    }

    /// Notes the whole row, given as it is now, because something of it is about to be removed.
    pub(super) fn keep_whole(&mut self, now: impl FnOnce() -> Row) {
        if let Self::Cells(cells) = self {
            let mut row = now();
            undo_cells(cells, &mut row);
            *self = Self::Whole(row);
        }
    }

    /// The row as it was, where it is `now`.
    fn whole(&self, now: Option<&Row>) -> Row {
        match self {
            Self::Whole(row) => row.clone(),
            Self::Cells(cells) => {
                let mut row = now.cloned().unwrap_or_default();
                undo_cells(cells, &mut row);
                row
            }
        }
    }

    fn changes(&self, now: Option<&Row>) -> Map<CellChange> {
        let mut changes = Map::new();
        let mut note = |cell_id: &Id, old: Option<&Cell>, new: Option<&Cell>| {
            if old != new {
                changes.insert(cell_id, CellChange { old: old.cloned(), new: new.cloned() });
            }
        };
        let cell = |cell_id: &Id| now.and_then(|now| now.get(cell_id));
        match self {
            Self::Cells(cells) => cells.iter().for_each(|(id, old)| note(id, old.as_ref(), cell(id))),
            Self::Whole(row) => {
                row.iter().for_each(|(id, old)| note(id, Some(old), cell(id)));
                for (id, new) in now.into_iter().flatten().filter(|(id, _)| !row.contains(id)) {
                    note(id, None, Some(new));
                }
            }
        }
        changes
    }
}

impl Default for RowLog {
    fn default() -> Self {
        Self::Cells(Map::new())
    }
}

/// Cells that were added since stand at the end, so removing them leaves the order as it was.
fn undo_cells(cells: &Map<Option<Cell>>, row: &mut Row) {
    for (cell_id, old) in cells {
        match old {
            None => row.remove(cell_id),
            Some(old) => row.insert(cell_id, old.clone()),
        };
    }
}
