//! Scenarios of the whole store. The tests of a single file are in that file.

use std::sync::{Arc, Mutex, PoisonError};

use super::Store;
use crate::content::{Cell, Row, Table};

mod commits;
mod kinds;
mod listeners;
mod manual;
mod many;
mod model;
mod mutators;
mod rounds;
mod schema_changes;
mod schema_laws;
mod schemas;
mod setters;
mod sorted;
mod threads;
mod transactions;

/// The events that listeners received, in order.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    fn note(&self, what: impl Into<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(what.into());
    }

    /// The events since the last call.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn row(cells: &[(&str, i32)]) -> Row {
    cells.iter().map(|(id, cell)| (*id, Cell::from(*cell))).collect()
}

fn table(rows: &[(&str, &[(&str, i32)])]) -> Table {
    rows.iter().map(|(id, cells)| (*id, row(cells))).collect()
}

/// The whole content, including its order, which `==` ignores.
fn order(store: &Store) -> String {
    format!("{:?}", store.content())
}

fn pets() -> Store {
    let store = Store::new();
    for (pet, legs) in [("fido", 4), ("polly", 2), ("nemo", 0)] {
        store.set_row("pets", pet, [("legs", legs), ("age", 1), ("weight", 2)]).unwrap();
    }
    store.set_row("species", "dog", [("price", 5)]).unwrap();
    store.set_values([("a", 1), ("b", 2), ("c", 3)]).unwrap();
    store
}
