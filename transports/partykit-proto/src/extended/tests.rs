//! Tests of one session, and a property test of several sessions with a room.

use roommate::{Cell, Changes, EditKey};

use super::*;
use crate::leaf;

mod connections;
mod model;
mod place;
mod property;
mod refusals;
mod room;
mod stories;

/// `{t: {row: {cell: to}}}`; `None` deletes.
fn cell(row: &str, cell: &str, to: Option<u32>) -> Changes {
    let mut changes = Changes::new();
    match to {
        Some(to) => changes.set_cell("t", row, cell, Cell::from(to)),
        None => changes.del_cell("t", row, cell),
    }
    changes
}

fn value(to: u32) -> Changes {
    let mut changes = Changes::new();
    changes.set_value("v", Cell::from(to));
    changes
}

/// The policy of the rooms here: it refuses this cell, and deletions of this row.
fn is_refused(leaf: leaf::Leaf<'_>) -> bool {
    match leaf {
        leaf::Leaf::Cell { cell, .. } => *cell == *"secret",
        leaf::Leaf::NoRow { row, .. } => *row == *"kept",
        _ => false,
    }
}
