//! What a room holds, so that a change costs what it touches.

use std::collections::BTreeMap;

use roommate::{Cell, Changes, Content, Id, RowChanges, TableChanges};

use crate::proto::storage::{Batch, StorageKey};

/// Tables and values in sorted maps.
///
/// A [`Content`] keeps the order of insertion, and pays for a deletion with a pass over the siblings. A room has no
/// order to keep (the original lists its storage, which is sorted), and may be large.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Contents {
    tables: BTreeMap<Id, Table>,
    values: BTreeMap<Id, Cell>,
}

type Table = BTreeMap<Id, Row>;
type Row = BTreeMap<Id, Cell>;

impl Contents {
    /// Applies `changes`, all of them, and returns what has to be written so that storage keeps up.
    pub(super) fn apply(&mut self, changes: &Changes, prefix: &str) -> Batch {
        let mut writes = Writes { prefix, batch: Batch::default() };
        for (table_id, rows) in &changes.tables {
            match rows {
                None => self.del_table(table_id, &mut writes),
                Some(rows) => self.change_table(table_id, rows, &mut writes),
            }
        }
        for (value_id, value) in &changes.values {
            let key = || StorageKey::Value(value_id.clone());
            change(&mut self.values, value_id, value.as_ref(), key, &mut writes);
        }
        writes.batch
    }

    pub(super) fn set_cell(&mut self, table_id: &Id, row_id: &Id, cell_id: &Id, cell: Cell) {
        let table = entry(&mut self.tables, table_id);
        entry(table, row_id).insert(cell_id.clone(), cell);
    }

    pub(super) fn set_value(&mut self, value_id: &Id, value: Cell) {
        self.values.insert(value_id.clone(), value);
    }

    pub(super) fn cell(&self, table_id: &str, row_id: &str, cell_id: &str) -> Option<&Cell> {
        self.tables.get(table_id)?.get(row_id)?.get(cell_id)
    }

    pub(super) fn value(&self, value_id: &str) -> Option<&Cell> {
        self.values.get(value_id)
    }

    /// The ids of a table's rows.
    pub(super) fn rows(&self, table_id: &str) -> impl Iterator<Item = &Id> {
        self.tables.get(table_id).into_iter().flat_map(BTreeMap::keys)
    }

    /// The ids of a row's cells.
    pub(super) fn cells(&self, table_id: &str, row_id: &str) -> impl Iterator<Item = &Id> {
        self.tables.get(table_id).and_then(|rows| rows.get(row_id)).into_iter().flat_map(BTreeMap::keys)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tables.is_empty() && self.values.is_empty()
    }

    pub(super) fn to_content(&self) -> Content {
        let row = |row: &Row| row.iter().map(|(cell_id, cell)| (cell_id, cell.clone())).collect();
        let table = |table: &Table| table.iter().map(|(row_id, cells)| (row_id, row(cells))).collect();
        Content {
            tables: self.tables.iter().map(|(table_id, rows)| (table_id, table(rows))).collect(),
            values: row(&self.values),
        }
    }

    fn del_table(&mut self, table_id: &Id, writes: &mut Writes<'_>) {
        for (row_id, row) in self.tables.remove(table_id).into_iter().flatten() {
            writes.delete_row(table_id, &row_id, row);
        }
    }

    fn change_table(&mut self, table_id: &Id, rows: &TableChanges, writes: &mut Writes<'_>) {
        let table = entry(&mut self.tables, table_id);
        for (row_id, cells) in rows {
            match cells {
                None => writes.delete_row(table_id, row_id, table.remove(row_id).unwrap_or_default()),
                Some(cells) => change_row(table, table_id, row_id, cells, writes),
            }
        }
        if table.is_empty() {
            self.tables.remove(table_id);
        }
    }
}

struct Writes<'a> {
    prefix: &'a str,
    batch: Batch,
}

impl Writes<'_> {
    fn delete_row(&mut self, table_id: &Id, row_id: &Id, row: Row) {
        for cell_id in row.into_keys() {
            self.delete(&StorageKey::Cell(table_id.clone(), row_id.clone(), cell_id));
        }
    }

    fn delete(&mut self, key: &StorageKey) {
        self.batch.deletes.push(key.encode(self.prefix));
    }

    fn put(&mut self, key: &StorageKey, cell: &Cell) {
        self.batch.puts.push((key.encode(self.prefix), cell.clone()));
    }
}

fn change_row(table: &mut Table, table_id: &Id, row_id: &Id, cells: &RowChanges, writes: &mut Writes<'_>) {
    let row = entry(table, row_id);
    for (cell_id, cell) in cells {
        let key = || StorageKey::Cell(table_id.clone(), row_id.clone(), cell_id.clone());
        change(row, cell_id, cell.as_ref(), key, writes);
    }
    if row.is_empty() {
        table.remove(row_id);
    }
}

/// Sets or deletes one cell or value, and notes the write unless it is so already.
fn change(row: &mut Row, id: &Id, new: Option<&Cell>, key: impl FnOnce() -> StorageKey, writes: &mut Writes<'_>) {
    match new {
        None => {
            if row.remove(id).is_some() {
                writes.delete(&key());
            }
        }
        Some(new) => {
            if row.get(id) != Some(new) {
                row.insert(id.clone(), new.clone());
                writes.put(&key(), new);
            }
        }
    }
}

/// The entry of `id`, made if there is none.
fn entry<'a, V: Default>(map: &'a mut BTreeMap<Id, V>, id: &Id) -> &'a mut V {
    map.entry(id.clone()).or_default()
}
