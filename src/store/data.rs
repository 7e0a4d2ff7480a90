//! The data of a store, and the writes to it. Each write records in the [`Log`] what it replaces.

use crate::content::{Cell, Content, Id, Map, Row, Shapes, Table, Tables, Values};

use super::{
    log::{Log, OneCell, TableLog},
    pool::Pool,
};

mod apply;

/// Tables and values. A table without rows and a row without cells do not exist here.
///
/// A clone shares rows, as a clone of a [`Map`] does, so that a copy for a reader delays a writer only briefly.
#[derive(Clone, Debug, Default)]
pub(super) struct Data {
    pub(super) tables: Map<TableData>,
    pub(super) values: Values,
}

#[derive(Clone, Debug, Default)]
pub(super) struct TableData {
    pub(super) rows: Table,
    pub(super) pool: Pool,
    pub(super) shapes: Shapes,
}

/// The writes of a transaction. Without a log, nothing can be undone or reported.
pub(super) struct Edit<'a> {
    pub(super) data: &'a mut Data,
    pub(super) log: Option<&'a mut Log>,
}

impl Data {
    pub(super) fn cell(&self, table_id: &str, row_id: &str, cell_id: &str) -> Option<&Cell> {
        self.row(table_id, row_id)?.get(cell_id)
    }

    pub(super) fn row(&self, table_id: &str, row_id: &str) -> Option<&Row> {
        self.tables.get(table_id)?.rows.get(row_id)
    }

    pub(super) fn tables(&self) -> Tables {
        self.tables.iter().map(|(id, table)| (id, table.rows.clone())).collect()
    }

    pub(super) fn content(&self) -> Content {
        Content { tables: self.tables(), values: self.values.clone() }
    }
}

impl TableData {
    /// A table of these rows, all of which have cells.
    fn of(rows: Table) -> Self {
        let mut table = Self { rows, ..Self::default() };
        for slot in 0..table.rows.slots() {
            let Some((_, row)) = table.rows.at(slot) else { continue };
            // Rows that were built one by one do not share their ids. Writing to a row copies its chunk.
            if let Some(shared) = table.shapes.shared(row)
                && let Some(row) = table.rows.at_mut(slot)
            {
                *row = shared;
            }
        }
        table
    }

    /// Adds a row whose id is new.
    fn add(&mut self, row_id: &Id, mut row: Row) {
        row.share(&mut self.shapes);
        self.rows.push(row_id.clone(), row);
    }
}

impl Edit<'_> {
    pub(super) fn set_cell(&mut self, table_id: &Id, row_id: &Id, cell_id: &Id, cell: &Cell) {
        let (table, log) = self.table_to_fill(table_id);
        match table.rows.slot_of(row_id.as_bytes()) {
            Some(slot) => set_cell(table, log, row_id, slot, cell_id, cell),
            None => {
                log.touch();
                let mut row = Row::new();
                row.insert(cell_id, cell.clone());
                table.add(row_id, row);
            }
        }
    }

    pub(super) fn set_partial_row(&mut self, table_id: &Id, row_id: &Id, row: &Row) {
        if row.is_empty() {
            return;
        }
        let (table, log) = self.table_to_fill(table_id);
        if table.rows.slot_of(row_id.as_bytes()).is_none() {
            log.touch();
            return table.add(row_id, row.clone());
        }
        for (cell_id, cell) in row {
            self.set_cell(table_id, row_id, cell_id, cell);
        }
    }

    /// Sets the given cells, then deletes the others. A row without cells changes nothing.
    pub(super) fn set_row(&mut self, table_id: &Id, row_id: &Id, row: &Row) {
        if row.is_empty() {
            return;
        }
        self.set_partial_row(table_id, row_id, row);
        let missing: Vec<Id> = match self.data.row(table_id, row_id) {
            Some(present) if present.len() > row.len() => missing(present.keys(), row),
            _ => return,
        };
        for cell_id in missing {
            self.del_cell(table_id, row_id, &cell_id);
        }
    }

    pub(super) fn set_table(&mut self, table_id: &Id, table: &Table) {
        if table.values().all(Row::is_empty) {
            return;
        }
        if !self.data.tables.contains(table_id) {
            let (new, log) = self.table_to_fill(table_id);
            log.touch();
            if table.values().any(Row::is_empty) {
                let rows = table.iter().filter(|(_, row)| !row.is_empty());
                *new = TableData::of(rows.map(|(id, row)| (id, row.clone())).collect());
            } else {
                *new = TableData::of(table.clone());
            }
            return;
        }
        for (row_id, row) in table {
            self.set_row(table_id, row_id, row);
        }
        let given = |row_id: &Id| table.get(row_id).is_some_and(|row| !row.is_empty());
        let present = self.data.tables.get(table_id);
        let rest: Vec<Id> =
            present.into_iter().flat_map(|table| table.rows.keys()).filter(|id| !given(id)).cloned().collect();
        for row_id in rest {
            self.del_row(table_id, &row_id);
        }
    }

    pub(super) fn set_tables(&mut self, tables: &Tables) {
        let holds = |table: &Table| table.values().any(|row| !row.is_empty());
        if !tables.values().any(holds) {
            return;
        }
        for (table_id, table) in tables {
            self.set_table(table_id, table);
        }
        let given = |table_id: &Id| tables.get(table_id).is_some_and(holds);
        let rest: Vec<Id> = self.data.tables.keys().filter(|id| !given(id)).cloned().collect();
        for table_id in rest {
            self.del_table(&table_id);
        }
    }

    pub(super) fn add_row(&mut self, table_id: &Id, row: &Row, reuse: bool) -> Id {
        let (table, log) = self.table_to_fill(table_id);
        log.touch();
        let TableData { rows, pool, .. } = &mut *table;
        let row_id = pool.take(reuse, |id| rows.contains(id));
        table.add(&row_id, row.clone());
        row_id
    }

    pub(super) fn del_cell(&mut self, table_id: &str, row_id: &str, cell_id: &str) {
        let Some(row) = self.data.row(table_id, row_id) else { return };
        if !row.contains(cell_id) {
            return;
        }
        if row.len() == 1 {
            // As in TinyBase: the id of a row that was deleted with its last cell is not reused.
            self.take_row(table_id, row_id);
            return;
        }
        let table_id = &Id::from(table_id);
        let (table, log) = self.table_to_fill(table_id);
        let Some(slot) = table.rows.slot(row_id) else { return };
        let slots = table.rows.slots();
        let Some(row) = table.rows.at_mut(slot) else { return };
        if let Some(log) = log.touch().and_then(|log| log.row(&row_id.into(), slot, slots)) {
            log.keep_whole(|| row.clone());
        }
        row.remove(cell_id);
        row.share(&mut table.shapes);
    }

    pub(super) fn del_row(&mut self, table_id: &str, row_id: &str) {
        if let Some(row_id) = self.take_row(table_id, row_id)
            && let Some(table) = self.data.tables.get_mut(table_id)
        {
            table.pool.release(&row_id);
        }
    }

    /// Removes a row and returns its id, if there is such a row.
    fn take_row(&mut self, table_id: &str, row_id: &str) -> Option<Id> {
        let table = self.data.tables.get(table_id)?;
        let slot = table.rows.slot(row_id)?;
        if table.rows.len() == 1 {
            self.del_table(table_id);
            return None;
        }
        let table_id = &Id::from(table_id);
        let (table, log) = self.table_to_fill(table_id);
        let slots = table.rows.slots();
        let (row_id, row) = table.rows.take(slot)?;
        let taken = row_id.clone();
        match log.touch() {
            Some(log) => log.remove_row(row_id, slot, slots, row),
            None => table.rows.compact(),
        }
        Some(taken)
    }

    pub(super) fn del_table(&mut self, table_id: &str) {
        let Some(slot) = self.data.tables.slot(table_id) else { return };
        let tables = &mut self.data.tables;
        let Some((table_id, table)) = tables.take(slot) else { return };
        match &mut self.log {
            Some(log) => log.table(&table_id, Some(slot), table.rows.slots()).remove(table),
            None => tables.compact(),
        }
    }

    pub(super) fn del_tables(&mut self) {
        let ids: Vec<Id> = self.data.tables.keys().cloned().collect();
        for table_id in ids {
            self.del_table(&table_id);
        }
    }

    pub(super) fn set_value(&mut self, value_id: &Id, value: &Cell) {
        if self.data.values.cell_of(value_id) == Some(value) {
            return;
        }
        let old = self.data.values.insert(value_id, value.clone());
        if let Some(log) = &mut self.log {
            log.values.note(value_id, old);
        }
    }

    pub(super) fn set_partial_values(&mut self, values: &Values) {
        for (value_id, value) in values {
            self.set_value(value_id, value);
        }
    }

    /// Sets the given values, then deletes the others. An empty set of values changes nothing.
    pub(super) fn set_values(&mut self, values: &Values) {
        if values.is_empty() {
            return;
        }
        self.set_partial_values(values);
        for value_id in missing(self.data.values.keys(), values) {
            self.del_value(&value_id);
        }
    }

    pub(super) fn del_value(&mut self, value_id: &str) {
        let values = &mut self.data.values;
        if values.contains(value_id) {
            if let Some(log) = &mut self.log {
                log.values.keep_whole(|| values.clone());
            }
            values.remove(value_id);
        }
    }

    pub(super) fn del_values(&mut self) {
        let values = std::mem::take(&mut self.data.values);
        if !values.is_empty()
            && let Some(log) = &mut self.log
        {
            log.values.keep_whole(|| values);
        }
    }

    pub(super) fn set_content(&mut self, content: &Content) {
        self.set_or_del_tables(&content.tables);
        self.set_or_del_values(&content.values);
    }

    pub(super) fn set_or_del_tables(&mut self, tables: &Tables) {
        match tables.is_empty() {
            true => self.del_tables(),
            false => self.set_tables(tables),
        }
    }

    pub(super) fn set_or_del_values(&mut self, values: &Values) {
        match values.is_empty() {
            true => self.del_values(),
            false => self.set_values(values),
        }
    }

    /// A table, created if it does not exist, with its log. The caller adds a row, or knows that the table has one.
    fn table_to_fill<'e>(&'e mut self, table_id: &'e Id) -> (&'e mut TableData, Untouched<'e>) {
        let tables = &mut self.data.tables;
        let slot = tables.slot_of(table_id.as_bytes());
        let at = slot.unwrap_or_else(|| {
            tables.push(table_id.clone(), TableData::default());
            tables.slots() - 1
        });
        let table = tables.at_mut(at).expect("there is one, or was put there just now");
        let log = Untouched { log: self.log.as_deref_mut(), table_id, slot, slots: table.rows.slots() };
        (table, log)
    }
}

/// The log of a table that is still in the state that the log expects.
struct Untouched<'a> {
    log: Option<&'a mut Log>,
    table_id: &'a Id,
    slot: Option<usize>,
    slots: usize,
}

impl<'a> Untouched<'a> {
    fn touch(self) -> Option<&'a mut TableLog> {
        self.log.map(|log| log.table(self.table_id, self.slot, self.slots))
    }

    /// Records the old content of a cell that was set in an existing row at `at`.
    fn note(self, row_id: &Id, at: usize, cell_id: &Id, old: Option<Cell>) {
        if let (Some(log), Some(slot)) = (self.log, self.slot) {
            let (table_id, row_id, cell_id) = (self.table_id.clone(), row_id.clone(), cell_id.clone());
            log.note(OneCell { table_id, row_id, cell_id, old, slots: (slot, at), end: self.slots });
        }
    }
}

/// Sets a cell of the row at a slot of a table.
fn set_cell(table: &mut TableData, log: Untouched<'_>, row_id: &Id, slot: usize, cell_id: &Id, cell: &Cell) {
    // Chunks are shared, and writing to one copies it: so only changes write.
    if table.rows.at(slot).is_some_and(|(_, row)| row.cell_of(cell_id) == Some(cell)) {
        return;
    }
    let Some(row) = table.rows.at_mut(slot) else { return };
    let old = row.put(cell_id, cell);
    if old.is_none() {
        row.share(&mut table.shapes);
    }
    log.note(row_id, slot, cell_id, old);
}

/// The present ids that are not among the given ones.
fn missing<'a>(present: impl Iterator<Item = &'a Id>, given: &Row) -> Vec<Id> {
    present.filter(|id| !given.contains(id)).cloned().collect()
}
