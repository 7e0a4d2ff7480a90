//! Applying changes, of which there may be very many at once.

use std::{hint::black_box, mem};

use crate::content::{Cell, Changes, Id, RowChanges, TableChanges};

use super::{Edit, OneCell, TableData, set_cell};

/// How many rows are looked for at once.
const AT_ONCE: usize = 64;

/// Where a row stands in which cells are to be set.
enum Place {
    At(usize),
    /// Only one cell is to be set, which the row has, and it is another one now.
    CellAt(usize, usize),
    /// It has these cells already.
    Same,
    /// There is none yet.
    New,
}

impl Edit<'_> {
    pub(in crate::store) fn apply(&mut self, changes: &Changes) {
        for (table_id, rows) in &changes.tables {
            let Some(rows) = rows else {
                self.del_table(table_id);
                continue;
            };
            self.apply_rows(table_id, rows);
        }
        for (value_id, value) in &changes.values {
            match value {
                Some(value) => self.set_value(value_id, value),
                None => self.del_value(value_id),
            }
        }
    }

    fn apply_rows(&mut self, table_id: &Id, rows: &TableChanges) {
        if rows.len() == 1 {
            return rows.iter().for_each(|(row_id, cells)| self.apply_row(table_id, row_id, cells.as_ref()));
        }
        let rows: Vec<_> = rows.iter().collect();
        for rows in rows.chunks(AT_ONCE) {
            let Some((table_slot, places)) = self.places(table_id, rows) else {
                rows.iter().for_each(|(row_id, cells)| self.apply_row(table_id, row_id, cells.as_ref()));
                continue;
            };
            for (place, (row_id, cells)) in places.into_iter().zip(rows) {
                match (place, cells) {
                    (Place::Same, _) => {}
                    (Place::CellAt(slot, at), Some(cells)) => {
                        self.replace_cell((table_slot, slot, at), table_id, row_id, cells);
                    }
                    (Place::At(slot), Some(cells)) => self.set_cells(slot, table_id, row_id, cells),
                    (_, cells) => self.apply_row(table_id, row_id, cells.as_ref()),
                }
            }
        }
    }

    /// The slot of a table, and where rows stand in which cells are to be set. None where there is no such table, and
    /// where something is to be removed, since what stands behind that may move.
    ///
    /// To find one row of a large table is to wait for memory four times, one after the other; many rows are waited for
    /// at once.
    fn places(&self, table_id: &Id, rows: &[(&Id, &Option<RowChanges>)]) -> Option<(usize, Vec<Place>)> {
        if !rows.iter().all(|(_, cells)| cells.as_ref().is_some_and(RowChanges::only_sets)) {
            return None;
        }
        let table_slot = self.data.tables.slot_of(table_id.as_bytes())?;
        let (_, TableData { rows: table, .. }) = self.data.tables.at(table_slot)?;
        let slots = table.slots_of(rows.iter().map(|(row_id, _)| *row_id));
        let place = |slot: Option<usize>, cells: &RowChanges| {
            let Some((slot, (_, row))) = slot.and_then(|slot| Some((slot, table.at(slot)?))) else { return Place::New };
            match cells.only() {
                Some((cell_id, cell)) => match row.position_of(cell_id) {
                    Some(at) if row.at(at) == cell.as_ref() => Place::Same,
                    Some(at) => Place::CellAt(slot, at),
                    None => Place::At(slot),
                },
                None => Place::At(slot),
            }
        };
        // What comes of it does not matter: it is there to have fetched the cells of all rows when they are looked at.
        let first = |slot: usize| table.at(slot).and_then(|(_, row)| row.at(0));
        black_box(slots.iter().flatten().filter(|slot| first(**slot).is_some_and(Cell::is_null)).count());
        let mut places = Vec::with_capacity(rows.len());
        for (slot, (_, cells)) in slots.into_iter().zip(rows) {
            places.push(cells.as_ref().map_or(Place::Same, |cells| place(slot, cells)));
        }
        Some((table_slot, places))
    }

    /// Replaces the only cell of `cells` in a row that there is, at the slots of the table and of the row, and at its
    /// position there.
    #[inline]
    fn replace_cell(&mut self, at: (usize, usize, usize), table_id: &Id, row_id: &Id, cells: &RowChanges) {
        let Some(table) = self.data.tables.at_mut(at.0) else { return };
        let end = table.rows.slots();
        let Some((cell_id, Some(cell))) = cells.only() else { return };
        let Some(present) = table.rows.at_mut(at.1).and_then(|row| row.at_mut(at.2)) else { return };
        let old = Some(mem::replace(present, cell.clone()));
        if let Some(log) = &mut self.log {
            let (table_id, row_id, cell_id) = (table_id.clone(), row_id.clone(), cell_id.clone());
            log.note(OneCell { table_id, row_id, cell_id, old, slots: (at.0, at.1), end });
        }
    }

    /// Sets cells of a row that there is, at its slot.
    fn set_cells(&mut self, slot: usize, table_id: &Id, row_id: &Id, cells: &RowChanges) {
        for (cell_id, cell) in cells {
            if let Some(cell) = cell {
                let (table, log) = self.table_to_fill(table_id);
                set_cell(table, log, row_id, slot, cell_id, cell);
            }
        }
    }

    fn apply_row(&mut self, table_id: &Id, row_id: &Id, cells: Option<&RowChanges>) {
        let Some(cells) = cells else { return self.del_row(table_id, row_id) };
        for (cell_id, cell) in cells {
            match cell {
                Some(cell) => self.set_cell(table_id, row_id, cell_id, cell),
                None => self.del_cell(table_id, row_id, cell_id),
            }
        }
    }
}
