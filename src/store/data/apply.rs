//! Applying changes, possibly very many at once.

use std::mem;

use crate::content::{Cell, Changes, Id, Row, RowChanges, TableChanges, find_rows};

use super::{Edit, OneCell, TableData, set_cell};

/// How many rows are looked up at once.
const AT_ONCE: usize = 64;

/// The look-up result for a row whose cells are to be set.
enum Standing<'a> {
    At {
        slot: usize,
    },
    /// Only one cell is to be set. The row has it at a position, with other content.
    WithCell {
        slot: usize,
        position: usize,
        cell_id: &'a Id,
        cell: &'a Cell,
    },
    /// The row has these cells already.
    Same,
    /// The row does not exist yet.
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
            let Some((table_slot, standings)) = self.standings(table_id, rows) else {
                rows.iter().for_each(|(row_id, cells)| self.apply_row(table_id, row_id, cells.as_ref()));
                continue;
            };
            for (standing, (row_id, cells)) in standings.into_iter().zip(rows) {
                match (standing, cells) {
                    (Standing::Same, _) => {}
                    (Standing::WithCell { slot, position, cell_id, cell }, _) => {
                        self.replace_cell((table_slot, slot), position, [table_id, row_id, cell_id], cell);
                    }
                    (Standing::At { slot }, Some(cells)) => self.set_cells(slot, table_id, row_id, cells),
                    (_, cells) => self.apply_row(table_id, row_id, cells.as_ref()),
                }
            }
        }
    }

    /// The slot of a table, and the look-up results of rows whose cells are to be set. None if the table does not
    /// exist, or if something is to be removed, since that may move later rows.
    fn standings<'a>(
        &self,
        table_id: &Id,
        rows: &[(&Id, &'a Option<RowChanges>)],
    ) -> Option<(usize, Vec<Standing<'a>>)> {
        if !rows.iter().all(|(_, cells)| cells.as_ref().is_some_and(RowChanges::only_sets)) {
            return None;
        }
        let table_slot = self.data.tables.slot_of(table_id.as_bytes())?;
        let (_, TableData { rows: table, .. }) = self.data.tables.at(table_slot)?;
        let slots = find_rows(table, rows.iter().map(|(row_id, _)| *row_id));
        let standing = |slot: Option<usize>, cells: &'a RowChanges| {
            let Some((slot, (_, row))) = slot.and_then(|slot| Some((slot, table.at(slot)?))) else {
                return Standing::New;
            };
            let Some((cell_id, Some(cell))) = cells.only() else { return Standing::At { slot } };
            match row.position_of(cell_id) {
                Some(position) if row.at(position) == Some(cell) => Standing::Same,
                Some(position) => Standing::WithCell { slot, position, cell_id, cell },
                None => Standing::At { slot },
            }
        };
        let mut standings = Vec::with_capacity(rows.len());
        for (slot, (_, cells)) in slots.into_iter().zip(rows) {
            standings.push(cells.as_ref().map_or(Standing::New, |cells| standing(slot, cells)));
        }
        Some((table_slot, standings))
    }

    /// Replaces a cell at its position in a row, at the slots of the table and of the row.
    fn replace_cell(&mut self, slots: (usize, usize), position: usize, ids: [&Id; 3], cell: &Cell) {
        let table = self.data.tables.at_mut(slots.0);
        let end = table.as_ref().map_or(0, |table| table.rows.slots());
        let present = table.and_then(|table| table.rows.at_mut(slots.1)).and_then(|row| row.at_mut(position));
        debug_assert!(present.is_some(), "nothing was moved since it was found");
        let Some(present) = present else { return };
        let old = Some(mem::replace(present, cell.clone()));
        if let Some(log) = &mut self.log {
            let [table_id, row_id, cell_id] = ids.map(Id::clone);
            log.note(OneCell { table_id, row_id, cell_id, old, slots, end });
        }
    }

    /// Sets cells of an existing row, at its slot.
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
        if cells.len() > 1 && self.data.row(table_id, row_id).is_none() {
            let shape = self.data.tables.of(table_id).and_then(|table| table.shapes.last());
            return self.set_partial_row(table_id, row_id, &Row::of_changes(cells, shape.into_iter()));
        }
        for (cell_id, cell) in cells {
            match cell {
                Some(cell) => self.set_cell(table_id, row_id, cell_id, cell),
                None => self.del_cell(table_id, row_id, cell_id),
            }
        }
    }
}
