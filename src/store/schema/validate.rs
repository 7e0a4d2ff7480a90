//! Applies schemas to cells and values. Records everything that is refused.

use super::{CellSchema, TablesSchema, ValuesSchema};
use crate::{
    content::{Cell, Id, Row, Table, Tables, Values},
    store::invalid::Invalid,
};

impl TablesSchema {
    /// The cell to set: the given one, or else the default, or else none.
    pub(in crate::store) fn valid_cell<'a>(
        &'a self,
        table_id: &Id,
        row_id: Option<&Id>,
        cell_id: &Id,
        cell: &'a Cell,
        invalid: &mut Invalid,
    ) -> Option<&'a Cell> {
        let schema = self.cell(table_id, cell_id);
        if schema.is_some_and(|schema| schema.accepts(cell)) {
            return Some(cell);
        }
        invalid.cell_of(table_id, row_id, Some(cell_id), Some(cell));
        schema.and_then(CellSchema::default)
    }

    /// A new row that is created by setting one cell.
    pub(in crate::store) fn new_row(
        &self,
        table_id: &Id,
        row_id: &Id,
        cell_id: &Id,
        cell: &Cell,
        invalid: &mut Invalid,
    ) -> Row {
        let mut row = Row::from_iter([(cell_id, cell.clone())]);
        self.add_defaults(table_id, Some(row_id), &mut row, invalid);
        row
    }

    /// The row to set in place of a whole row; none if that is refused.
    pub(in crate::store) fn valid_row(
        &self,
        table_id: &Id,
        row_id: Option<&Id>,
        row: &Row,
        invalid: &mut Invalid,
    ) -> Option<Row> {
        let mut row = row.clone();
        self.add_defaults(table_id, row_id, &mut row, invalid);
        let row = self.valid_cells(table_id, row_id, &row, invalid)?;
        let missed = self.schemas(table_id).any(|(cell_id, schema)| schema.is_missed() && !row.contains(cell_id));
        (!missed).then_some(row)
    }

    /// The accepted ones of some cells of a row; none if all are refused.
    pub(in crate::store) fn valid_cells(
        &self,
        table_id: &Id,
        row_id: Option<&Id>,
        row: &Row,
        invalid: &mut Invalid,
    ) -> Option<Row> {
        if row.is_empty() {
            invalid.cell_of(table_id, row_id, None, None);
        }
        let mut valid = Row::new();
        for (cell_id, cell) in row {
            if let Some(cell) = self.valid_cell(table_id, row_id, cell_id, cell, invalid) {
                valid.insert(cell_id, cell.clone());
            }
        }
        (!valid.is_empty()).then_some(valid)
    }

    /// The table to set in place of a whole table; none if that is refused.
    pub(in crate::store) fn valid_table(&self, table_id: &Id, table: &Table, invalid: &mut Invalid) -> Option<Table> {
        if !self.0.contains(table_id) || table.is_empty() {
            invalid.cell(&[table_id], None);
            return None;
        }
        let mut valid = Table::new();
        for (row_id, row) in table {
            if let Some(row) = self.valid_row(table_id, Some(row_id), row, invalid) {
                valid.insert(row_id, row);
            }
        }
        (!valid.is_empty()).then_some(valid)
    }

    /// The tables to set in place of all tables; none if all are refused.
    pub(in crate::store) fn valid_tables(&self, tables: &Tables, invalid: &mut Invalid) -> Option<Tables> {
        if tables.is_empty() {
            invalid.cell(&[], None);
        }
        let mut valid = Tables::new();
        for (table_id, table) in tables {
            if let Some(table) = self.valid_table(table_id, table, invalid) {
                valid.insert(table_id, table);
            }
        }
        (!valid.is_empty()).then_some(valid)
    }

    /// Adds the defaults that a whole row lacks, and records the other cells that it lacks.
    fn add_defaults(&self, table_id: &Id, row_id: Option<&Id>, row: &mut Row, invalid: &mut Invalid) {
        for (cell_id, schema) in self.schemas(table_id) {
            if let Some(default) = schema.default()
                && !row.contains(cell_id)
            {
                row.insert(cell_id, default.clone());
            }
        }
        for (cell_id, schema) in self.schemas(table_id) {
            if schema.default().is_none() && !row.contains(cell_id) {
                invalid.cell_of(table_id, row_id, Some(cell_id), None);
            }
        }
    }

    fn schemas(&self, table_id: &str) -> impl Iterator<Item = (&Id, &CellSchema)> {
        self.0.get(table_id).into_iter().flatten()
    }
}

impl ValuesSchema {
    /// The value to set: the given one, or else the default, or else none.
    pub(in crate::store) fn valid_value<'a>(
        &'a self,
        value_id: &Id,
        value: &'a Cell,
        invalid: &mut Invalid,
    ) -> Option<&'a Cell> {
        let schema = self.value(value_id);
        if schema.is_some_and(|schema| schema.accepts(value)) {
            return Some(value);
        }
        invalid.value(Some(value_id), Some(value));
        schema.and_then(CellSchema::default)
    }

    /// The values to set in place of all values; none if they are refused.
    pub(in crate::store) fn valid_values(&self, values: &Values, invalid: &mut Invalid) -> Option<Values> {
        let mut values = values.clone();
        for (value_id, schema) in &self.0 {
            if let Some(default) = schema.default()
                && !values.contains(value_id)
            {
                values.insert(value_id, default.clone());
            }
        }
        for (value_id, schema) in &self.0 {
            if schema.default().is_none() && !values.contains(value_id) {
                invalid.value(Some(value_id), None);
            }
        }
        let values = self.valid_partial_values(&values, invalid)?;
        let missed = self.0.iter().any(|(value_id, schema)| schema.is_missed() && !values.contains(value_id));
        (!missed).then_some(values)
    }

    /// The accepted ones of some values; none if all are refused.
    pub(in crate::store) fn valid_partial_values(&self, values: &Values, invalid: &mut Invalid) -> Option<Values> {
        if values.is_empty() {
            invalid.value(None, None);
        }
        let mut valid = Values::new();
        for (value_id, value) in values {
            if let Some(value) = self.valid_value(value_id, value, invalid) {
                valid.insert(value_id, value.clone());
            }
        }
        (!valid.is_empty()).then_some(valid)
    }
}
