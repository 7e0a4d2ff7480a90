//! The row of a row event, before and after. For listeners only: a mutator is called before the transaction is over.

use crate::content::{Cell, Id, Row};

use super::{
    events::RowEvent,
    net::{CellChange, Net, NetRow},
    told::Told,
};

impl RowEvent<'_> {
    /// The row before the transaction; empty if it did not exist.
    pub(crate) fn old_row(&self) -> Row {
        self.row_with(|change| &change.old)
    }

    /// The row after the transaction, without later writes of listeners; empty if it does not exist.
    pub(crate) fn new_row(&self) -> Row {
        self.row_with(|change| &change.new)
    }

    /// Whether the row was added or removed, or one of these cells changed.
    pub(crate) fn concerns(&self, cell_ids: &[&str]) -> bool {
        let changed = |row: &NetRow| cell_ids.iter().any(|cell_id| row.cells.contains(cell_id));
        self.changes_in(self.net).is_some_and(|row| row.before != row.after || changed(row))
    }

    /// The present row, without the writes since the transaction, and with one side of the changes of the transaction.
    fn row_with(&self, side: impl Fn(&CellChange) -> &Option<Cell>) -> Row {
        let mut row = self.store.row(self.table_id, self.row_id);
        let state = self.store.shared.state();
        let open = Told::of_open(&state).net;
        let untold = state.untold.as_ref().map(|told| &told.net);
        for net in [Some(&open), untold].into_iter().flatten() {
            for (cell_id, change) in self.changes_in(net).iter().flat_map(|row| &row.cells) {
                put(&mut row, cell_id, &change.old);
            }
        }
        for (cell_id, change) in self.changes_in(self.net).iter().flat_map(|row| &row.cells) {
            put(&mut row, cell_id, side(change));
        }
        row
    }

    fn changes_in<'a>(&self, net: &'a Net) -> Option<&'a NetRow> {
        net.row(self.table_id, self.row_id)
    }
}

fn put(row: &mut Row, cell_id: &Id, cell: &Option<Cell>) {
    match cell {
        Some(cell) => row.insert(cell_id, cell.clone()),
        None => row.remove(cell_id),
    };
}
