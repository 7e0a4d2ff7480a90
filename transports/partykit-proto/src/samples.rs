//! Changes that the tests of a link and of a session make.

use proptest::prelude::*;
use roommate::{Cell, Changes};

use crate::leaf;

/// `{t: {row: {cell: to}}}`; `None` deletes.
pub(crate) fn cell(row: &str, cell: &str, to: Option<u32>) -> Changes {
    let mut changes = Changes::new();
    match to {
        Some(to) => changes.set_cell("t", row, cell, Cell::from(to)),
        None => changes.del_cell("t", row, cell),
    }
    changes
}

pub(crate) fn value(to: u32) -> Changes {
    let mut changes = Changes::new();
    changes.set_value("v", Cell::from(to));
    changes
}

/// Changes of one transaction. What they set, they set to `to`.
pub(crate) fn any_changes(to: impl Strategy<Value = u32> + Clone + 'static) -> impl Strategy<Value = Changes> {
    let row = prop_oneof![Just("r"), Just("s"), Just("kept")];
    let leaf = prop_oneof![
        8 => (row.clone(), prop_oneof![Just("a"), Just("b"), Just("secret")], to.clone())
            .prop_map(|(r, c, to)| cell(r, c, Some(to))),
        2 => (row.clone(), prop_oneof![Just("a"), Just("b")]).prop_map(|(r, c)| cell(r, c, None)),
        2 => row.prop_map(|row| {
            let mut changes = Changes::new();
            changes.del_row("t", row);
            changes
        }),
        1 => Just({
            let mut changes = Changes::new();
            changes.del_table("t");
            changes
        }),
        3 => to.prop_map(value),
    ];
    prop::collection::vec(leaf, 1..5).prop_map(|leaves| leaf::of_one_transaction(&leaves))
}
