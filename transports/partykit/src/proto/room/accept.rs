//! Which part of some changes a policy lets through.

use std::mem;

use roommate::{Cell, Changes, Content, Id, RowChanges, TableChanges};

use crate::proto::policy::{Asker, Policy};

/// What becomes of some changes: each leaf of them is in one of the two, or was a mention of nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Verdict {
    pub(super) accepted: Changes,
    pub(super) refused: Changes,
}

/// Divides `changes` into what the policy lets through and what it does not.
pub(super) fn accept(policy: &dyn Policy, asker: Asker<'_>, contents: &Content, mut changes: Changes) -> Verdict {
    let gate = Gate { policy, asker, contents };
    let mut refused = Changes::new();
    changes.tables.retain(|table_id, rows| {
        let allowed = match rows {
            None => policy.can_del_table(table_id, asker),
            Some(_) => policy.can_set_table(table_id, asker),
        };
        let refuse = |rows| drop(refused.tables.insert(table_id, rows));
        let Some(rows) = pass(allowed, rows, refuse) else { return allowed };
        let refused_rows = gate.divide_rows(table_id, rows);
        if !refused_rows.is_empty() {
            refused.tables.insert(table_id, Some(refused_rows));
        }
        !rows.is_empty()
    });
    changes.values.retain(|value_id, value| {
        let allowed = match value {
            None => policy.can_del_value(value_id, asker),
            Some(value) => policy.can_set_value(value_id, value, contents.values.get(value_id), asker),
        };
        pass(allowed, value, |value| drop(refused.values.insert(value_id, value)));
        allowed
    });
    refused.prune();
    Verdict { accepted: changes, refused }
}

#[derive(Debug)]
struct Gate<'a> {
    policy: &'a dyn Policy,
    asker: Asker<'a>,
    contents: &'a Content,
}

impl Gate<'_> {
    /// Keeps what may happen to rows, and returns the rest.
    fn divide_rows(&self, table_id: &Id, rows: &mut TableChanges) -> TableChanges {
        let mut refused = TableChanges::new();
        rows.retain(|row_id, cells| {
            let allowed = match cells {
                None => self.policy.can_del_row(table_id, row_id, self.asker),
                Some(_) => self.policy.can_set_row(table_id, row_id, self.asker),
            };
            let refuse = |cells| drop(refused.insert(row_id, cells));
            let Some(cells) = pass(allowed, cells, refuse) else { return allowed };
            let refused_cells = self.divide_cells(table_id, row_id, cells);
            if !refused_cells.is_empty() {
                refused.insert(row_id, Some(refused_cells));
            }
            !cells.is_empty()
        });
        refused
    }

    /// Keeps what may happen to cells, and returns the rest.
    fn divide_cells(&self, table_id: &Id, row_id: &Id, cells: &mut RowChanges) -> RowChanges {
        let mut refused = RowChanges::new();
        cells.retain(|cell_id, cell| {
            let allowed = match cell {
                None => self.policy.can_del_cell(table_id, row_id, cell_id, self.asker),
                Some(cell) => self.can_set_cell(table_id, row_id, cell_id, cell),
            };
            pass(allowed, cell, |cell| drop(refused.insert(cell_id, cell)));
            allowed
        });
        refused
    }

    fn can_set_cell(&self, table_id: &Id, row_id: &Id, cell_id: &Id, cell: &Cell) -> bool {
        let old = self.contents.cell(table_id, row_id, cell_id);
        self.policy.can_set_cell(table_id, row_id, cell_id, cell, old, self.asker)
    }
}

/// What is inside of what is allowed. What is not goes to `refuse`.
fn pass<T>(allowed: bool, change: &mut Option<T>, refuse: impl FnOnce(Option<T>)) -> Option<&mut T> {
    if allowed {
        return change.as_mut();
    }
    refuse(mem::take(change));
    None
}
