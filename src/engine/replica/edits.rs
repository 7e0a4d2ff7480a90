//! Arithmetic of edits: what they cover, how to replay them on a row, how to merge them, and how to take a part away.

use crate::content::{Cell, Changes, Content, Id, Row, RowChanges, TableChanges, apply_row, diff_row};

/// What a waiting edit was made on: the confirmed state with the edits before it. Used only for rows and values that
/// edits cover.
pub(super) trait Base {
    /// A row, or an empty row if there is none.
    fn row(&self, table_id: &str, row_id: &str) -> Row;
    /// The rows that a deletion of the table deletes.
    fn row_ids(&self, table_id: &str) -> Vec<Id>;
    /// A value.
    fn value(&self, value_id: &str) -> Option<Cell>;
}

/// Whether the changes delete the whole table, including rows that are added later.
pub(super) fn covers_table(changes: &Changes, table_id: &str) -> bool {
    matches!(changes.tables.get(table_id), Some(None))
}

/// Whether the changes affect a row.
pub(super) fn covers_row(changes: &Changes, table_id: &str, row_id: &str) -> bool {
    match changes.tables.get(table_id) {
        None => false,
        Some(None) => true,
        Some(Some(rows)) => rows.contains(row_id),
    }
}

/// Whether the changes affect a value.
pub(super) fn covers_value(changes: &Changes, value_id: &str) -> bool {
    changes.values.contains(value_id)
}

/// Returns a row with edits replayed on it, oldest first.
pub(super) fn replayed_row<'a>(
    edits: impl Iterator<Item = &'a Changes>,
    table_id: &str,
    row_id: &str,
    mut row: Row,
) -> Row {
    for edit in edits {
        match edit.tables.get(table_id) {
            None => {}
            Some(None) => row.clear(),
            Some(Some(rows)) => replay_row(&mut row, rows.get(row_id)),
        }
    }
    row
}

/// Returns a value with edits replayed on it, oldest first.
pub(super) fn replayed_value<'a>(
    edits: impl Iterator<Item = &'a Changes>,
    value_id: &str,
    value: Option<Cell>,
) -> Option<Cell> {
    edits.filter_map(|edit| edit.values.get(value_id)).last().cloned().unwrap_or(value)
}

/// Whether applying the changes to the content would leave it as it is.
pub(super) fn is_satisfied_by(changes: &Changes, content: &Content) -> bool {
    let tables = changes.tables.iter().all(|(table_id, table)| match table {
        None => !content.tables.contains(table_id),
        Some(rows) => rows.iter().all(|(row_id, row)| {
            let present = content.row(table_id, row_id);
            match row {
                None => present.is_none(),
                Some(cells) => shows(cells, present),
            }
        }),
    });
    tables && shows(&changes.values, Some(&content.values))
}

/// Merges two edits: `first` becomes the net change that both make to `base`, as if one transaction had made it.
///
/// The deletion of a whole table stays a deletion of the table, so that it still covers rows that other clients add.
/// Where `first` changes nothing, the change of `second` is taken unchanged: a store that does not follow its backend
/// may show something other than `base`.
pub(super) fn merge(first: &mut Changes, second: &Changes, base: &impl Base) {
    for (table_id, table) in &second.tables {
        let merged = match table {
            None if !first.tables.contains(table_id) || covers_table(first, table_id) => Some(None),
            None if !base.row_ids(table_id).is_empty() => Some(None),
            // The table existed between these two edits only.
            None => None,
            Some(rows) => merged_table(first.tables.get(table_id), rows, table_id, base).map(Some),
        };
        match merged {
            Some(table) => first.tables.insert(table_id, table),
            None => first.tables.remove(table_id),
        };
    }
    for (value_id, value) in &second.values {
        if first.values.contains(value_id) && base.value(value_id) == *value {
            first.values.remove(value_id);
        } else {
            first.values.insert(value_id, value.clone());
        }
    }
}

/// Splits an edit into its accepted and its refused part. Anything in `refused` that the edit does not contain is
/// ignored.
pub(super) fn without(edit: &Changes, refused: &Changes) -> (Changes, Changes) {
    let (mut accepted, mut rejected) = (Changes::new(), Changes::new());
    for (table_id, table) in &edit.tables {
        match (table, refused.tables.get(table_id)) {
            (_, None) => {
                accepted.tables.insert(table_id, table.clone());
            }
            (None, Some(_)) | (Some(_), Some(None)) => {
                rejected.tables.insert(table_id, table.clone());
            }
            (Some(rows), Some(Some(refused))) => {
                let (yes, no) = split_rows(rows, refused);
                accepted.tables.insert(table_id, Some(yes));
                rejected.tables.insert(table_id, Some(no));
            }
        }
    }
    (accepted.values, rejected.values) = split_cells(&edit.values, &refused.values);
    accepted.prune();
    rejected.prune();
    (accepted, rejected)
}

fn merged_table(
    first: Option<&Option<TableChanges>>,
    second: &TableChanges,
    table_id: &Id,
    base: &impl Base,
) -> Option<TableChanges> {
    let mut table: TableChanges = match first {
        None => TableChanges::new(),
        Some(Some(rows)) => rows.clone(),
        Some(None) => base.row_ids(table_id).into_iter().map(|row_id| (row_id, None)).collect(),
    };
    for (row_id, row) in second {
        if matches!(first, None | Some(Some(_))) && !table.contains(row_id) {
            table.insert(row_id, row.clone());
            continue;
        }
        let was = base.row(table_id, row_id);
        let mut is = was.clone();
        replay_row(&mut is, table.get(row_id));
        replay_row(&mut is, Some(row));
        let changed = if is.is_empty() && !was.is_empty() { Some(None) } else { changed_cells(&was, &is).map(Some) };
        match changed {
            Some(row) => table.insert(row_id, row),
            None => table.remove(row_id),
        };
    }
    (!table.is_empty()).then_some(table)
}

fn changed_cells(was: &Row, is: &Row) -> Option<RowChanges> {
    let cells = diff_row(Some(was), is);
    (!cells.is_empty()).then_some(cells)
}

fn replay_row(row: &mut Row, changes: Option<&Option<RowChanges>>) {
    match changes {
        None => {}
        Some(None) => row.clear(),
        Some(Some(cells)) => apply_row(row, cells),
    }
}

fn split_rows(rows: &TableChanges, refused: &TableChanges) -> (TableChanges, TableChanges) {
    let (mut accepted, mut rejected) = (TableChanges::new(), TableChanges::new());
    for (row_id, row) in rows {
        match (row, refused.get(row_id)) {
            (_, None) => {
                accepted.insert(row_id, row.clone());
            }
            (None, Some(_)) | (Some(_), Some(None)) => {
                rejected.insert(row_id, row.clone());
            }
            (Some(cells), Some(Some(refused))) => {
                let (yes, no) = split_cells(cells, refused);
                accepted.insert(row_id, Some(yes));
                rejected.insert(row_id, Some(no));
            }
        }
    }
    (accepted, rejected)
}

fn split_cells(cells: &RowChanges, refused: &RowChanges) -> (RowChanges, RowChanges) {
    let (mut accepted, mut rejected) = (RowChanges::new(), RowChanges::new());
    for (cell_id, cell) in cells {
        let half = if refused.contains(cell_id) { &mut rejected } else { &mut accepted };
        half.insert(cell_id, cell.clone());
    }
    (accepted, rejected)
}

fn shows(cells: &RowChanges, present: Option<&Row>) -> bool {
    cells.iter().all(|(cell_id, cell)| present.and_then(|row| row.get(cell_id)) == cell.as_ref())
}
