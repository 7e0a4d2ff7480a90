//! The semantics of the setters: what the schemas change in a write, and what of it is rejected.
//!
//! Everything here ends in writes of an [`Edit`], which ignores schemas. Without a schema, each method calls that of
//! the edit, and checks whether there is anything to write at all.

use crate::content::{Cell, Changes, Content, Id, Row, Table, Tables, Values};

use super::{data::Edit, invalid::Invalid, rules::Rules};

/// The writes of a transaction under the schemas.
pub(super) struct Writer<'a> {
    pub(super) edit: Edit<'a>,
    pub(super) rules: &'a Rules,
    pub(super) invalid: &'a mut Invalid,
}

impl Writer<'_> {
    pub(super) fn set_cell(&mut self, table_id: &Id, row_id: &Id, cell_id: &Id, cell: &Cell) {
        let Some(schema) = &self.rules.tables else {
            return self.edit.set_cell(table_id, row_id, cell_id, cell);
        };
        let Some(cell) = schema.valid_cell(table_id, Some(row_id), cell_id, cell, self.invalid) else { return };
        if self.edit.data.row(table_id, row_id).is_some() {
            return self.edit.set_cell(table_id, row_id, cell_id, cell);
        }
        let row = schema.new_row(table_id, row_id, cell_id, cell, self.invalid);
        self.edit.set_partial_row(table_id, row_id, &row);
    }

    pub(super) fn set_partial_row(&mut self, table_id: &Id, row_id: &Id, row: &Row) {
        let Some(schema) = &self.rules.tables else {
            if row.is_empty() {
                self.invalid.cell(&[table_id, row_id], None);
            }
            return self.edit.set_partial_row(table_id, row_id, row);
        };
        let Some(mut row) = schema.valid_cells(table_id, Some(row_id), row, self.invalid) else { return };
        if self.edit.data.row(table_id, row_id).is_none()
            && let Some((cell_id, cell)) = row.iter().next()
        {
            // The first cell creates the row, together with the defaults.
            let mut new = schema.new_row(table_id, row_id, cell_id, cell, self.invalid);
            new.extend(row);
            row = new;
        }
        self.edit.set_partial_row(table_id, row_id, &row);
    }

    pub(super) fn set_row(&mut self, table_id: &Id, row_id: &Id, row: &Row) {
        match &self.rules.tables {
            Some(schema) => {
                if let Some(row) = schema.valid_row(table_id, Some(row_id), row, self.invalid) {
                    self.edit.set_row(table_id, row_id, &row);
                }
            }
            None if row.is_empty() => self.invalid.cell(&[table_id, row_id], None),
            None => self.edit.set_row(table_id, row_id, row),
        }
    }

    pub(super) fn set_table(&mut self, table_id: &Id, table: &Table) {
        match &self.rules.tables {
            Some(schema) => {
                if let Some(table) = schema.valid_table(table_id, table, self.invalid) {
                    self.edit.set_table(table_id, &table);
                }
            }
            None => {
                self.note_empty(table_id, table);
                self.edit.set_table(table_id, table);
            }
        }
    }

    pub(super) fn set_tables(&mut self, tables: &Tables) {
        match &self.rules.tables {
            Some(schema) => {
                if let Some(tables) = schema.valid_tables(tables, self.invalid) {
                    self.edit.set_tables(&tables);
                }
            }
            None => {
                if tables.is_empty() {
                    self.invalid.cell(&[], None);
                }
                tables.iter().for_each(|(table_id, table)| self.note_empty(table_id, table));
                self.edit.set_tables(tables);
            }
        }
    }

    pub(super) fn add_row(&mut self, table_id: &Id, row: &Row, reuse: bool) -> Option<Id> {
        match &self.rules.tables {
            Some(schema) => {
                let row = schema.valid_row(table_id, None, row, self.invalid)?;
                Some(self.edit.add_row(table_id, &row, reuse))
            }
            None if row.is_empty() => {
                self.invalid.cell(&[table_id], None);
                None
            }
            None => Some(self.edit.add_row(table_id, row, reuse)),
        }
    }

    /// Deletes a cell, or sets it to its default.
    pub(super) fn del_cell(&mut self, table_id: &str, row_id: &str, cell_id: &str) {
        let schema = self.rules.tables.as_ref().and_then(|schema| schema.cell(table_id, cell_id));
        match schema.and_then(|schema| schema.default()) {
            Some(default) if self.edit.data.cell(table_id, row_id, cell_id).is_some() => {
                self.edit.set_cell(&table_id.into(), &row_id.into(), &cell_id.into(), default);
            }
            _ => self.edit.del_cell(table_id, row_id, cell_id),
        }
    }

    pub(super) fn set_value(&mut self, value_id: &Id, value: &Cell) {
        match &self.rules.values {
            Some(schema) => {
                if let Some(value) = schema.valid_value(value_id, value, self.invalid) {
                    self.edit.set_value(value_id, value);
                }
            }
            None => self.edit.set_value(value_id, value),
        }
    }

    pub(super) fn set_partial_values(&mut self, values: &Values) {
        match &self.rules.values {
            Some(schema) => {
                if let Some(values) = schema.valid_partial_values(values, self.invalid) {
                    self.edit.set_partial_values(&values);
                }
            }
            None if values.is_empty() => self.invalid.value(None, None),
            None => self.edit.set_partial_values(values),
        }
    }

    pub(super) fn set_values(&mut self, values: &Values) {
        match &self.rules.values {
            Some(schema) => {
                if let Some(values) = schema.valid_values(values, self.invalid) {
                    self.edit.set_values(&values);
                }
            }
            None if values.is_empty() => self.invalid.value(None, None),
            None => self.edit.set_values(values),
        }
    }

    /// Deletes a value, or sets it to its default.
    pub(super) fn del_value(&mut self, value_id: &str) {
        let schema = self.rules.values.as_ref().and_then(|schema| schema.value(value_id));
        match schema.and_then(|schema| schema.default()) {
            Some(default) if self.edit.data.values.contains(value_id) => {
                self.edit.set_value(&value_id.into(), default);
            }
            _ => self.edit.del_value(value_id),
        }
    }

    /// Deletes all values, or sets them to their defaults.
    pub(super) fn del_values(&mut self) {
        if self.rules.values.is_none() {
            return self.edit.del_values();
        }
        let ids: Vec<Id> = self.edit.data.values.keys().cloned().collect();
        ids.iter().for_each(|value_id| self.del_value(value_id));
    }

    pub(super) fn set_content(&mut self, content: &Content) {
        if self.rules.is_empty() {
            content.tables.iter().for_each(|(table_id, table)| self.note_empty(table_id, table));
            return self.edit.set_content(content);
        }
        self.set_or_del_tables(&content.tables);
        self.set_or_del_values(&content.values);
    }

    pub(super) fn set_or_del_tables(&mut self, tables: &Tables) {
        match tables.is_empty() {
            true => self.edit.del_tables(),
            false => self.set_tables(tables),
        }
    }

    pub(super) fn set_or_del_values(&mut self, values: &Values) {
        match values.is_empty() {
            true => self.del_values(),
            false => self.set_values(values),
        }
    }

    /// Applies changes as an edit. A deleted cell is gone and does not get its default, and no other cells are deleted
    /// with it.
    pub(super) fn apply(&mut self, changes: &Changes) {
        if self.rules.is_empty() {
            return self.edit.apply(changes);
        }
        for (table_id, rows) in &changes.tables {
            let Some(rows) = rows else {
                self.edit.del_table(table_id);
                continue;
            };
            for (row_id, cells) in rows {
                let Some(cells) = cells else {
                    self.edit.del_row(table_id, row_id);
                    continue;
                };
                for (cell_id, cell) in cells {
                    match cell {
                        Some(cell) => self.set_cell(table_id, row_id, cell_id, cell),
                        None => self.edit.del_cell(table_id, row_id, cell_id),
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

    /// Applies changes exactly as they are. What the schemas would have refused is recorded, and stored.
    pub(super) fn apply_confirmed(&mut self, changes: &Changes) {
        self.edit.apply(changes);
        if let Some(schema) = &self.rules.tables {
            for (table_id, rows) in &changes.tables {
                for (row_id, cells) in rows.iter().flatten() {
                    for (cell_id, cell) in cells.iter().flatten() {
                        if let Some(cell) = cell {
                            schema.valid_cell(table_id, Some(row_id), cell_id, cell, self.invalid);
                        }
                    }
                }
            }
        }
        if let Some(schema) = &self.rules.values {
            for (value_id, value) in &changes.values {
                if let Some(value) = value {
                    schema.valid_value(value_id, value, self.invalid);
                }
            }
        }
    }

    /// Sets all tables again, under a schema that is newer than they are.
    pub(super) fn revise_tables(&mut self) {
        let tables = self.edit.data.tables();
        if !tables.is_empty() {
            self.edit.del_tables();
            self.set_tables(&tables);
        }
    }

    /// Sets all values again, under a schema that is newer than they are.
    pub(super) fn revise_values(&mut self) {
        let values = self.edit.data.values.clone();
        self.edit.del_values();
        self.set_values(&values);
    }

    /// Records a table without rows, and rows without cells, as rejected.
    fn note_empty(&mut self, table_id: &Id, table: &Table) {
        if table.is_empty() {
            self.invalid.cell(&[table_id], None);
        }
        for (row_id, _) in table.iter().filter(|(_, row)| Row::is_empty(row)) {
            self.invalid.cell(&[table_id, row_id], None);
        }
    }
}
