//! Applying changes, possibly very many at once.

use std::{hint::black_box, sync::Arc};

use super::{Builder, Cell, Changes, Content, Id, Row, RowChanges, Shape, Table, TableChanges};

/// How many rows are looked up at once.
const AT_ONCE: usize = 64;

/// How many rows before a row, and how many after it, are searched for a shape to share.
const NEAR: usize = 4;

impl Content {
    /// Applies all of `changes`. Deleting what does not exist is not an error, as in TinyBase.
    ///
    /// The cost depends on the size of `changes`, not on the size of the content.
    pub fn apply(&mut self, changes: &Changes) {
        for (table_id, rows) in &changes.tables {
            match (self.tables.slot_of(table_id.as_bytes()), rows) {
                (Some(slot), Some(rows)) => self.apply_table(slot, rows),
                (Some(slot), None) => drop(self.tables.remove_at(slot)),
                (None, Some(rows)) => {
                    let table = new_table(rows);
                    if !table.is_empty() {
                        self.tables.push(table_id.clone(), table);
                    }
                }
                (None, None) => {}
            }
        }
        self.values.apply(&changes.values);
    }

    /// Sets a cell, and creates its table and its row if they do not exist.
    pub fn set_cell(&mut self, table_id: impl Into<Id>, row_id: impl Into<Id>, cell_id: impl Into<Id>, cell: Cell) {
        let table = self.tables.get_or_default(&table_id.into());
        let row_id = row_id.into();
        let slot = table.slot_of(row_id.as_bytes());
        apply_at(table, slot, &row_id, Some(&RowChanges::of_one(cell_id.into(), Some(cell))));
    }

    /// Sets a value.
    pub fn set_value(&mut self, value_id: impl Into<Id>, value: Cell) {
        self.values.insert(value_id, value);
    }

    fn apply_table(&mut self, slot: usize, rows: &TableChanges) {
        let Some(table) = self.tables.at_mut(slot) else { return };
        // With few rows there is no wait for memory to overlap, and removing one row may move each of the others.
        if rows.len() == 1 || table.slots() <= AT_ONCE {
            for (row_id, cells) in rows {
                let slot = table.slot_of(row_id.as_bytes());
                if !apply_at(table, slot, row_id, cells.as_ref())
                    && let Some(slot) = slot
                {
                    table.remove_at(slot);
                }
            }
        } else {
            apply_many(table, rows);
        }
        if table.is_empty() {
            self.tables.remove_at(slot);
        }
    }
}

/// The slots of rows, by id.
///
/// Finding one row of a large table waits for memory four times in sequence. The look-ups of many rows overlap these
/// waits, including those for their cells.
pub(crate) fn find_rows<'a>(table: &Table, row_ids: impl Iterator<Item = &'a Id> + Clone) -> Vec<Option<usize>> {
    let slots = table.slots_of(row_ids);
    // The result does not matter: this loop fetches the cells of all rows into the cache before they are used.
    let first = |slot: usize| table.at(slot).and_then(|(_, row)| row.at(0));
    black_box(slots.iter().flatten().filter(|slot| first(**slot).is_some_and(Cell::is_null)).count());
    slots
}

/// Applies the changes of many rows to a table with many rows.
fn apply_many(table: &mut Table, rows: &TableChanges) {
    let mut left = rows.iter();
    while left.len() > 0 {
        let batch = left.clone().take(AT_ONCE);
        // The slots stay valid, since nothing moves until the end.
        let slots = find_rows(table, batch.map(|(row_id, _)| row_id));
        for (slot, (row_id, cells)) in slots.into_iter().zip(left.by_ref()) {
            if !apply_at(table, slot, row_id, cells.as_ref())
                && let Some(slot) = slot
            {
                table.take(slot);
            }
        }
    }
    table.compact();
}

/// Applies the changes of one row, which is at `slot` or is new. Returns whether the row exists afterwards.
fn apply_at(table: &mut Table, slot: Option<usize>, row_id: &Id, cells: Option<&RowChanges>) -> bool {
    let Some(cells) = cells else { return false };
    let Some(slot) = slot else {
        let row = Row::of_changes(cells, shapes_near(table, table.slots()));
        let made = !row.is_empty();
        if made {
            table.push(row_id.clone(), row);
        }
        return made;
    };
    let Some((_, row)) = table.at(slot) else { return false };
    // Chunks are shared, and writing to one copies it: so only changes write.
    if let Some((cell_id, Some(cell))) = cells.only()
        && let Some(position) = row.position_of(cell_id)
    {
        if row.at(position) != Some(cell)
            && let Some(present) = table.at_mut(slot).and_then(|row| row.at_mut(position))
        {
            present.clone_from(cell);
        }
        return true;
    }
    if row.has_all(cells) {
        return true;
    }
    let Some(row) = table.at_mut(slot) else { return false };
    let reshaped = row.apply(cells);
    let stays = !row.is_empty();
    if reshaped && stays {
        share_shape(table, slot);
    }
    stays
}

/// The table that these changes create from nothing.
fn new_table(rows: &TableChanges) -> Table {
    let mut table = Builder::new();
    let mut last: Option<Arc<Shape>> = None;
    for (row_id, cells) in rows {
        let Some(cells) = cells else { continue };
        let row = Row::of_changes(cells, last.iter());
        if let Some((shape, _)) = row.narrow()
            && !last.as_ref().is_some_and(|last| Arc::ptr_eq(last, shape))
        {
            last = Some(Arc::clone(shape));
        }
        if !row.is_empty() {
            table.push(row_id.clone(), row);
        }
    }
    table.finish()
}

/// Gives a row the shape of a row near it that has the same cells, if there is one.
fn share_shape(table: &mut Table, slot: usize) {
    let Some((_, row)) = table.at(slot) else { return };
    let shape = shapes_near(table, slot).find(|shape| row.is_of(shape)).cloned();
    if let Some(shape) = shape
        && let Some(row) = table.at_mut(slot)
    {
        row.set_shape(shape);
    }
}

/// The shapes of the rows near a slot, the nearest first. Rows with the same cells are mostly neighbours, and so share
/// their shape even if they were added one by one.
fn shapes_near(table: &Table, slot: usize) -> impl Iterator<Item = &Arc<Shape>> {
    let slots = (1..=NEAR).flat_map(move |away| [slot.checked_sub(away), slot.checked_add(away)]);
    slots.flatten().filter_map(|slot| table.at(slot)?.1.narrow()).map(|(shape, _)| shape)
}

#[cfg(test)]
mod tests;
