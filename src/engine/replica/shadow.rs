//! The confirmed state of just those rows and values that an unconfirmed edit covers.

use std::collections::VecDeque;

use super::{Edit, View, covers_row, covers_value};
use crate::{
    content::{Cell, Changes, Content, Id, Map, Row, apply_row},
    store::Before,
};

/// Confirmed rows and values, where the store shows something else on top.
///
/// An empty row is one that the backend does not have. The invariant: a row is here if and only if an unconfirmed edit
/// covers it. For a table that an edit deletes, that is every row of the table in the backend.
#[derive(Debug, Default)]
pub(super) struct Shadow {
    pub(super) tables: Map<Map<Row>>,
    pub(super) values: Map<Option<Cell>>,
}

impl Shadow {
    /// The shadow that `edits` need over a confirmed `content`.
    pub(super) fn of(content: &Content, edits: &VecDeque<Edit>) -> Self {
        let mut shadow = Self::default();
        for edit in edits {
            for (table_id, table) in &edit.changes.tables {
                match table {
                    None => {
                        for (row_id, row) in content.tables.get(table_id).into_iter().flatten() {
                            shadow.put_row(table_id, row_id, row.clone());
                        }
                    }
                    Some(rows) => {
                        for row_id in rows.keys() {
                            let row = content.row(table_id, row_id).cloned();
                            shadow.put_row(table_id, row_id, row.unwrap_or_default());
                        }
                    }
                }
            }
            for value_id in edit.changes.values.keys() {
                shadow.values.insert(value_id, content.values.get(value_id).cloned());
            }
        }
        shadow
    }

    /// Adds the rows and values that `changes` covers first. Where no edit covers it, the store shows the confirmed
    /// state, so `before` is right.
    pub(super) fn cover(&mut self, changes: &Changes, before: &Before) {
        for table_id in changes.tables.keys() {
            for (row_id, row) in before.tables.get(table_id).into_iter().flatten() {
                if covers_row(changes, table_id, row_id) && self.row(table_id, row_id).is_none() {
                    self.put_row(table_id, row_id, row.clone());
                }
            }
        }
        for value_id in changes.values.keys() {
            if !self.values.contains(value_id) {
                self.values.insert(value_id, before.values.get(value_id).cloned().flatten());
            }
        }
    }

    /// Adds the rows and values that `changes` covers first, as the store shows them now.
    pub(super) fn cover_shown(&mut self, changes: &Changes, view: &impl View) {
        for (table_id, table) in &changes.tables {
            let row_ids = match table {
                None => view.row_ids(table_id),
                Some(rows) => rows.keys().cloned().collect(),
            };
            for row_id in row_ids {
                if self.row(table_id, &row_id).is_none() {
                    self.put_row(table_id, &row_id, view.row(table_id, &row_id).unwrap_or_default());
                }
            }
        }
        for value_id in changes.values.keys() {
            if !self.values.contains(value_id) {
                self.values.insert(value_id, view.value(value_id));
            }
        }
    }

    /// Removes what `changes` covered and no edit covers any more.
    pub(super) fn uncover(&mut self, changes: &Changes, edits: &VecDeque<Edit>) {
        for (table_id, table) in &changes.tables {
            let row_ids = match table {
                None => self.row_ids(table_id),
                Some(rows) => rows.keys().cloned().collect(),
            };
            let Some(rows) = self.tables.get_mut(table_id) else { continue };
            for row_id in row_ids {
                if !edits.iter().any(|edit| covers_row(&edit.changes, table_id, &row_id)) {
                    rows.remove(&row_id);
                }
            }
            if rows.is_empty() {
                self.tables.remove(table_id);
            }
        }
        for value_id in changes.values.keys() {
            if !edits.iter().any(|edit| covers_value(&edit.changes, value_id)) {
                self.values.remove(value_id);
            }
        }
    }

    /// Applies confirmed changes to the rows and values here.
    pub(super) fn apply(&mut self, changes: &Changes) {
        for (table_id, table) in &changes.tables {
            let Some(rows) = self.tables.get_mut(table_id) else { continue };
            match table {
                None => rows.values_mut().for_each(Row::clear),
                Some(changed) => {
                    for (row_id, cells) in changed {
                        match (rows.get_mut(row_id), cells) {
                            (Some(row), Some(cells)) => apply_row(row, cells),
                            (Some(row), None) => row.clear(),
                            (None, _) => {}
                        }
                    }
                }
            }
        }
        for (value_id, value) in &changes.values {
            if let Some(shadow) = self.values.get_mut(value_id) {
                shadow.clone_from(value);
            }
        }
    }

    pub(super) fn put_row(&mut self, table_id: &Id, row_id: &Id, row: Row) {
        self.tables.get_or_default(table_id).insert(row_id, row);
    }

    pub(super) fn row(&self, table_id: &str, row_id: &str) -> Option<&Row> {
        self.tables.get(table_id)?.get(row_id)
    }

    pub(super) fn row_mut(&mut self, table_id: &str, row_id: &str) -> Option<&mut Row> {
        self.tables.get_mut(table_id)?.get_mut(row_id)
    }

    pub(super) fn row_ids(&self, table_id: &str) -> Vec<Id> {
        self.tables.get(table_id).into_iter().flat_map(Map::keys).cloned().collect()
    }

    pub(super) fn value(&self, value_id: &str) -> Option<&Option<Cell>> {
        self.values.get(value_id)
    }

    pub(super) fn value_mut(&mut self, value_id: &str) -> Option<&mut Option<Cell>> {
        self.values.get_mut(value_id)
    }
}
