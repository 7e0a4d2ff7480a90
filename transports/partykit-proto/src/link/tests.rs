//! Tests of one link, and a property test of several links on a model of the stock server.

use roommate::{Cell, Content, ErrorKind};

use super::*;

mod property;
mod stories;

/// `{table: {row: {cell: to}}}`; `None` deletes.
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

fn both(one: &Changes, other: &Changes) -> Changes {
    let mut changes = one.clone();
    leaf::merge(&mut changes, other);
    changes
}

fn content(changes: &Changes) -> Content {
    let mut content = Content::new();
    content.apply(changes);
    content
}
