//! Tests of one session, and a property test of several sessions with a room.

use roommate::{Cell, Changes, EditKey};

use super::*;
use crate::{
    leaf,
    samples::{self, cell, value},
};

mod connections;
mod model;
mod place;
mod property;
mod refusals;
mod room;
mod stories;

/// The policy of the rooms here: it refuses this cell, and deletions of this row.
fn is_refused(leaf: leaf::Leaf<'_>) -> bool {
    match leaf {
        leaf::Leaf::Cell { cell, .. } => *cell == *"secret",
        leaf::Leaf::NoRow { row, .. } => *row == *"kept",
        _ => false,
    }
}
