//! What a store holds, and the writes to it: each notes in the [`Log`] what it replaces.

use std::collections::VecDeque;

use crate::content::{Cell, Changes, Content, Id, Map, Row, Table, Tables, Values};

use super::{log::Log, slots::Slots};

/// How many ids of deleted rows a table keeps for [`Store::add_row`](super::Store::add_row); TinyBase's number.
const POOL: usize = 1000;

/// Tables and values. A table without rows and a row without cells do not exist here.
#[derive(Debug, Default)]
pub(super) struct Data {
    pub(super) tables: Slots<TableData>,
    pub(super) values: Values,
}

#[derive(Debug, Default)]
pub(super) struct TableData {
    pub(super) rows: Slots<Row>,
    pub(super) pool: Pool,
}

/// Where the ids of new rows come from.
#[derive(Debug, Default)]
pub(super) struct Pool {
    released: VecDeque<Id>,
    next: u64,
}

/// A transaction's way to write.
pub(super) struct Edit<'a> {
    pub(super) data: &'a mut Data,
    pub(super) log: &'a mut Log,
}

impl Data {
    pub(super) fn cell(&self, table_id: &str, row_id: &str, cell_id: &str) -> Option<&Cell> {
        self.row(table_id, row_id)?.get(cell_id)
    }

    pub(super) fn row(&self, table_id: &str, row_id: &str) -> Option<&Row> {
        self.tables.get(table_id)?.rows.get(row_id)
    }

    pub(super) fn tables(&self) -> Tables {
        self.tables.iter().map(|(id, table)| (id, table.to_table())).collect()
    }

    pub(super) fn content(&self) -> Content {
        Content { tables: self.tables(), values: self.values.clone() }
    }
}

impl TableData {
    pub(super) fn to_table(&self) -> Table {
        self.rows.iter().map(|(id, row)| (id, row.clone())).collect()
    }
}

impl Pool {
    /// The id of a new row: one that was released, if `reuse` says so, else the next number; never one that is `taken`.
    fn take(&mut self, reuse: bool, taken: impl Fn(&str) -> bool) -> Id {
        loop {
            let released = if reuse { self.released.pop_front() } else { None };
            let id = released.unwrap_or_else(|| {
                self.next += 1;
                Id::from((self.next - 1).to_string())
            });
            if !taken(&id) {
                return id;
            }
        }
    }

    pub(super) fn release(&mut self, id: &Id) {
        let number = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
        if number && self.released.len() < POOL {
            self.released.push_back(id.clone());
        }
    }
}

impl Edit<'_> {
    pub(super) fn set_cell(&mut self, table_id: &Id, row_id: &Id, cell_id: &Id, cell: &Cell) {
        if self.data.cell(table_id, row_id, cell_id) == Some(cell) {
            return;
        }
        let table_log = self.log.table(table_id, self.data.tables.slot(table_id));
        let table = self.data.tables.get_or_default(table_id);
        let row_log = table_log.row(row_id, table.rows.slot(row_id));
        let old = table.rows.get_or_default(row_id).insert(cell_id, cell.clone());
        row_log.note(cell_id, old);
    }

    pub(super) fn set_partial_row(&mut self, table_id: &Id, row_id: &Id, row: &Row) {
        for (cell_id, cell) in row {
            self.set_cell(table_id, row_id, cell_id, cell);
        }
    }

    /// Sets what is given, then deletes what is not. A row without cells changes nothing.
    pub(super) fn set_row(&mut self, table_id: &Id, row_id: &Id, row: &Row) {
        if row.is_empty() {
            return;
        }
        self.set_partial_row(table_id, row_id, row);
        for cell_id in missing(self.data.row(table_id, row_id).into_iter().flat_map(Map::keys), row) {
            self.del_cell(table_id, row_id, &cell_id);
        }
    }

    pub(super) fn set_table(&mut self, table_id: &Id, table: &Table) {
        if table.values().all(Map::is_empty) {
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
        if let Some(TableData { rows, pool }) = self.data.tables.get_mut(table_id) {
            let row_id = pool.take(reuse, |id| rows.contains(id));
            self.set_partial_row(table_id, &row_id, row);
            return row_id;
        }
        let mut pool = Pool::default();
        let row_id = pool.take(reuse, |_| false);
        self.set_partial_row(table_id, &row_id, row);
        if let Some(table) = self.data.tables.get_mut(table_id) {
            table.pool = pool;
        }
        row_id
    }

    pub(super) fn del_cell(&mut self, table_id: &str, row_id: &str, cell_id: &str) {
        let Some(row) = self.data.row(table_id, row_id) else { return };
        if !row.contains(cell_id) {
            return;
        }
        if row.len() == 1 {
            return self.del_row(table_id, row_id);
        }
        let table_id = &Id::from(table_id);
        let row_id = &Id::from(row_id);
        let table_log = self.log.table(table_id, self.data.tables.slot(table_id));
        let Some(table) = self.data.tables.get_mut(table_id) else { return };
        let row_log = table_log.row(row_id, table.rows.slot(row_id));
        if let Some(row) = table.rows.get_mut(row_id) {
            row_log.keep_whole(|| row.clone());
            row.remove(cell_id);
        }
    }

    pub(super) fn del_row(&mut self, table_id: &str, row_id: &str) {
        let Some(table) = self.data.tables.get_mut(table_id) else { return };
        let Some(slot) = table.rows.slot(row_id) else { return };
        if table.rows.len() == 1 {
            return self.del_table(table_id);
        }
        let Some(row) = table.rows.remove(row_id) else { return };
        let row_id = Id::from(row_id);
        table.pool.release(&row_id);
        let table_log = self.log.table(&table_id.into(), self.data.tables.slot(table_id));
        table_log.row(&row_id, Some(slot)).keep_whole(|| row);
    }

    pub(super) fn del_table(&mut self, table_id: &str) {
        let slot = self.data.tables.slot(table_id);
        let Some(table) = self.data.tables.remove(table_id) else { return };
        let table_log = self.log.table(&table_id.into(), slot);
        table_log.removed = true;
        for (slot, row_id, row) in table.rows.into_slots() {
            table_log.row(&row_id, Some(slot)).keep_whole(|| row);
        }
    }

    pub(super) fn del_tables(&mut self) {
        let ids: Vec<Id> = self.data.tables.keys().cloned().collect();
        for table_id in ids {
            self.del_table(&table_id);
        }
    }

    pub(super) fn set_value(&mut self, value_id: &Id, value: &Cell) {
        if self.data.values.get(value_id) == Some(value) {
            return;
        }
        let old = self.data.values.insert(value_id, value.clone());
        self.log.values.note(value_id, old);
    }

    pub(super) fn set_partial_values(&mut self, values: &Values) {
        for (value_id, value) in values {
            self.set_value(value_id, value);
        }
    }

    /// Sets what is given, then deletes what is not. No values at all change nothing.
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
            self.log.values.keep_whole(|| values.clone());
            values.remove(value_id);
        }
    }

    pub(super) fn del_values(&mut self) {
        let values = std::mem::take(&mut self.data.values);
        if !values.is_empty() {
            self.log.values.keep_whole(|| values);
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

    pub(super) fn apply(&mut self, changes: &Changes) {
        for (table_id, rows) in &changes.tables {
            let Some(rows) = rows else {
                self.del_table(table_id);
                continue;
            };
            for (row_id, cells) in rows {
                let Some(cells) = cells else {
                    self.del_row(table_id, row_id);
                    continue;
                };
                for (cell_id, cell) in cells {
                    match cell {
                        Some(cell) => self.set_cell(table_id, row_id, cell_id, cell),
                        None => self.del_cell(table_id, row_id, cell_id),
                    }
                }
            }
        }
        for (value_id, value) in &changes.values {
            match value {
                Some(value) => self.set_value(value_id, value),
                None => self.del_value(value_id),
            }
        }
    }
}

/// The present ids that are not given.
fn missing<'a, V>(present: impl Iterator<Item = &'a Id>, given: &Map<V>) -> Vec<Id> {
    present.filter(|id| !given.contains(id)).cloned().collect()
}
