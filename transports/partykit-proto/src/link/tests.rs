//! Tests of one link, and a property test of several links on a model of the stock server.

use roommate::{Cell, Content, ErrorKind};

use super::*;
use crate::samples::{self, cell, value};

mod property;
mod stories;

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
