//! Which part of some changes a policy lets through.

use roommate::{Cell, Changes, Id, RowChanges, TableChanges};

use super::contents::Contents;
use crate::proto::policy::{Asker, Policy};

/// What is left of `changes` when all that is refused, and all that changes nothing, is taken out.
pub(super) fn accept(policy: &dyn Policy, asker: Asker<'_>, contents: &Contents, mut changes: Changes) -> Changes {
    let gate = Gate { policy, asker, contents };
    changes.tables.retain(|table_id, rows| match rows {
        None => policy.can_del_table(table_id, asker),
        Some(rows) => policy.can_set_table(table_id, asker) && gate.keep_rows(table_id, rows),
    });
    changes.values.retain(|value_id, value| match value {
        None => policy.can_del_value(value_id, asker),
        Some(value) => policy.can_set_value(value_id, value, contents.value(value_id), asker),
    });
    changes
}

#[derive(Debug)]
struct Gate<'a> {
    policy: &'a dyn Policy,
    asker: Asker<'a>,
    contents: &'a Contents,
}

impl Gate<'_> {
    /// Keeps what may happen to rows, and tells whether anything is left.
    fn keep_rows(&self, table_id: &Id, rows: &mut TableChanges) -> bool {
        rows.retain(|row_id, cells| match cells {
            None => self.policy.can_del_row(table_id, row_id, self.asker),
            Some(cells) => {
                self.policy.can_set_row(table_id, row_id, self.asker) && self.keep_cells(table_id, row_id, cells)
            }
        });
        !rows.is_empty()
    }

    /// Keeps what may happen to cells, and tells whether anything is left.
    fn keep_cells(&self, table_id: &Id, row_id: &Id, cells: &mut RowChanges) -> bool {
        cells.retain(|cell_id, cell| match cell {
            None => self.policy.can_del_cell(table_id, row_id, cell_id, self.asker),
            Some(cell) => self.can_set_cell(table_id, row_id, cell_id, cell),
        });
        !cells.is_empty()
    }

    fn can_set_cell(&self, table_id: &Id, row_id: &Id, cell_id: &Id, cell: &Cell) -> bool {
        let old = self.contents.cell(table_id, row_id, cell_id);
        self.policy.can_set_cell(table_id, row_id, cell_id, cell, old, self.asker)
    }
}
