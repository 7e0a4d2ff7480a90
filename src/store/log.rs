//! What a transaction replaced: enough to undo it, to report its net changes, and to read the state before it.

use std::borrow::Cow;

use crate::content::{Cell, Id, Map, Row};

use super::{
    commit::Before,
    data::{Data, TableData},
    net::{CellChange, Net, NetRow, NetTable, OneChange},
    told::Touched,
};

mod table;

pub(super) use table::TableLog;

/// The state of everything when a transaction first touched it. The size depends on what was touched; new rows take no
/// space.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    /// The only cell that was touched, as in most transactions; `tables` is empty then.
    one: Option<OneCell>,
    tables: Map<TableLog>,
    pub(super) values: RowLog,
}

/// The old content of a cell that was set in an existing row.
#[derive(Clone, Debug)]
pub(super) struct OneCell {
    pub(super) table_id: Id,
    pub(super) row_id: Id,
    pub(super) cell_id: Id,
    pub(super) old: Option<Cell>,
    /// The slots of the table and the row.
    pub(super) slots: (usize, usize),
    /// The number of slots that the table had.
    pub(super) end: usize,
}

/// The old state of a row, or of the values.
#[derive(Clone, Debug)]
pub(super) enum RowLog {
    /// The old content of the cells that were set since. Nothing was removed, so the order of the others is unchanged.
    Cells(Map<Option<Cell>>),
    /// All cells, in their order; empty if the row did not exist.
    Whole(Row),
}

impl Log {
    pub(super) fn is_empty(&self) -> bool {
        self.touched() == Touched::default()
    }

    pub(super) fn touched(&self) -> Touched {
        Touched { cells: self.one.is_some() || !self.tables.is_empty(), values: !self.values.is_empty() }
    }

    /// Records the old content of a cell that was set.
    pub(super) fn note(&mut self, cell: OneCell) {
        match &self.one {
            None if self.tables.is_empty() => self.one = Some(cell),
            Some(one) if one.is_same(&cell) => {}
            _ => {
                let table = self.table(&cell.table_id, Some(cell.slots.0), cell.end);
                cell.note_in(table);
            }
        }
    }

    /// The log of a table that is about to be touched, which is at `slot` now and has `slots` slots.
    pub(super) fn table(&mut self, table_id: &Id, slot: Option<usize>, slots: usize) -> &mut TableLog {
        if let Some(one) = self.one.take() {
            self.tables = one.into_tables();
        }
        let at = match self.tables.slot_of(table_id.as_bytes()) {
            Some(at) => at,
            None => {
                self.tables.push(table_id.clone(), TableLog::new(slot, slots));
                self.tables.slots() - 1
            }
        };
        self.tables.at_mut(at).expect("there is one, or was put there just now")
    }

    /// Restores the old state, including the order. Slots stay valid until [`Log::compact`].
    pub(super) fn undo(&self, data: &mut Data) {
        for (table_id, log) in &*self.all_tables() {
            log.undo(table_id, &mut data.tables);
        }
        match &self.values {
            RowLog::Cells(cells) => undo_cells(cells, &mut data.values),
            RowLog::Whole(values) => data.values = values.clone(),
        }
    }

    /// The differences from the old state.
    pub(super) fn net(&self, data: &Data) -> Net {
        let values = self.values.changes(Some(&data.values));
        if let Some(one) = &self.one {
            return Net::of_one(one.clone().change(data), values);
        }
        let mut tables = Map::new();
        for (table_id, log) in &self.tables {
            let table = data.tables.of(table_id);
            let mut rows = Map::new();
            log.each_row(table, |row_id, old, row| {
                let cells = old.changes(row);
                if !cells.is_empty() {
                    rows.push(row_id.clone(), NetRow { before: !old.is_absent(), after: row.is_some(), cells });
                }
            });
            if !rows.is_empty() {
                let change = NetTable { before: log.existed(), after: table.is_some(), rows };
                tables.push(table_id.clone(), change);
            }
        }
        Net::of(tables, values)
    }

    /// The differences, for a log that is to be cleared: the one cell of most transactions is moved, and not copied.
    pub(super) fn take_net(&mut self, data: &Data) -> Net {
        match self.one.take() {
            Some(one) if self.values.is_empty() => Net::of_one(one.change(data), Map::new()),
            one => {
                self.one = one;
                self.net(data)
            }
        }
    }

    /// The whole old state of every row that was touched.
    pub(super) fn before(&self, data: &Data) -> Before {
        let mut before = Before::default();
        for (table_id, log) in &*self.all_tables() {
            let mut rows = Map::new();
            log.each_row(data.tables.get(table_id), |row_id, old, row| {
                rows.push(row_id.clone(), old.whole(row));
            });
            before.tables.push(table_id.clone(), rows);
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

    /// A row as it was, where it is `now`.
    pub(super) fn row_before(&self, table_id: &str, row_id: &str, data: &Data) -> Option<Row> {
        match self.all_tables().get(table_id) {
            Some(log) => log.row_before(row_id, data.tables.get(table_id)),
            None => data.row(table_id, row_id).cloned(),
        }
    }

    /// The values in their old state.
    pub(super) fn values_before(&self, data: &Data) -> Row {
        self.values.whole(Some(&data.values))
    }

    /// Clears the log.
    pub(super) fn clear(&mut self) {
        self.one = None;
        self.tables.clear();
        self.values = RowLog::default();
    }

    fn all_tables(&self) -> Cow<'_, Map<TableLog>> {
        match &self.one {
            Some(one) => Cow::Owned(one.clone().into_tables()),
            None => Cow::Borrowed(&self.tables),
        }
    }

    /// Closes the holes that the logged removals left. Slots in this log are invalid afterwards.
    pub(super) fn compact(&self, data: &mut Data) {
        for (table_id, log) in &self.tables {
            if log.may_have_left_holes()
                && let Some(table) = data.tables.get_mut(table_id)
            {
                table.rows.compact();
            }
        }
        data.tables.compact();
    }
}

impl OneCell {
    fn is_same(&self, other: &Self) -> bool {
        self.cell_id == other.cell_id && self.row_id == other.row_id && self.table_id == other.table_id
    }

    /// The change from the old content to the present one; none if they are equal.
    fn change(self, data: &Data) -> Option<OneChange> {
        let Self { table_id, row_id, cell_id, old, slots, .. } = self;
        let (_, table) = data.tables.at(slots.0)?;
        let (_, row) = table.rows.at(slots.1)?;
        let new = row.cell_of(&cell_id);
        if new == old.as_ref() {
            return None;
        }
        let new = new.cloned();
        Some(OneChange { table_id, row_id, cell_id, change: CellChange { old, new } })
    }

    fn note_in(self, table: &mut TableLog) {
        if let Some(row) = table.row(&self.row_id, self.slots.1, self.end) {
            row.note(&self.cell_id, self.old);
        }
    }

    /// The same, as a log of tables.
    fn into_tables(self) -> Map<TableLog> {
        let table_id = self.table_id.clone();
        let mut table = TableLog::new(Some(self.slots.0), self.end);
        self.note_in(&mut table);
        Map::of_one(table_id, table)
    }
}

impl RowLog {
    /// The log of a row that did not exist.
    pub(super) const ABSENT: Self = Self::Whole(Row::new());

    fn is_empty(&self) -> bool {
        matches!(self, Self::Cells(cells) if cells.is_empty())
    }

    /// Whether the row did not exist.
    fn is_absent(&self) -> bool {
        matches!(self, Self::Whole(row) if row.is_empty())
    }

    /// Records the old content of a cell that was set.
    pub(super) fn note(&mut self, cell_id: &Id, old: Option<Cell>) {
        if let Self::Cells(cells) = self
            && cells.slot_of(cell_id.as_bytes()).is_none()
        {
            cells.push(cell_id.clone(), old);
        }
    }

    /// Records the whole row, given in its present state, because a part of it is about to be removed.
    pub(super) fn keep_whole(&mut self, now: impl FnOnce() -> Row) {
        if let Self::Cells(cells) = self {
            let mut row = now();
            undo_cells(cells, &mut row);
            *self = Self::Whole(row);
        }
    }

    /// The row in its old state, if `now` is its present state.
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
                changes.push(cell_id.clone(), CellChange { old: old.cloned(), new: new.cloned() });
            }
        };
        let cell = |cell_id: &Id| now.and_then(|now| now.cell_of(cell_id));
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

/// Cells that were added since are at the end, so removing them restores the order.
fn undo_cells(cells: &Map<Option<Cell>>, row: &mut Row) {
    for (cell_id, old) in cells {
        match old {
            None => row.remove(cell_id),
            Some(old) => row.insert(cell_id, old.clone()),
        };
    }
}
