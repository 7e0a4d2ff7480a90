//! Changes of many rows, which are looked up together.

use std::sync::{Arc, Mutex};

use proptest::{collection::vec, option, prelude::*};

use super::order;
use crate::{
    content::{Cell, Changes, Id, RowChanges},
    error::Error,
    store::Store,
};

proptest! {
    #[test]
    fn changes_of_many_rows_do_what_they_do_row_by_row(
        present in vec(0..200_u32, 0..200),
        rows in any::<bool>().prop_flat_map(|sets| vec((tables(), 0..250_u32, row_changes(sets)), 0..300)),
        listens: bool,
        holds: bool,
    ) {
        let mut changes = Changes::new();
        // Rows that are the same, rows that change, and rows that are new.
        for (table_id, row, cells) in rows {
            changes.tables.get_or_default(&Id::from(table_id)).get_or_insert_default().insert(row_id(row), cells);
        }
        let (at_once, one_by_one) = (filled(&present), filled(&present));
        let before = order(&at_once);
        let told: Vec<_> = [&at_once, &one_by_one].into_iter().map(|store| log(store, listens)).collect();

        let held = holds.then(|| at_once.content());
        at_once.apply_changes(&changes).unwrap();
        if let Some(held) = held {
            prop_assert_eq!(format!("{:?}", held), before.clone());
        }
        one_by_one.transaction(|store| {
            for (table_id, rows) in &changes.tables {
                for (row_id, cells) in rows.iter().flatten() {
                    let mut one = Changes::new();
                    one.tables.get_or_default(table_id).get_or_insert_default().insert(row_id, cells.clone());
                    store.apply_changes(&one)?;
                }
            }
            Ok::<_, Error>(())
        }).unwrap();
        prop_assert_eq!(order(&at_once), order(&one_by_one));
        let told: Vec<Vec<String>> = told.iter().map(|told| told.lock().unwrap().clone()).collect();
        prop_assert_eq!(&told[0], &told[1]);

        let rolled_back = filled(&present);
        let refused = rolled_back.transaction(|store| {
            store.apply_changes(&changes)?;
            Err::<(), _>(Error::new(crate::error::ErrorKind::Invalid, "no"))
        });
        prop_assert!(refused.is_err());
        prop_assert_eq!(order(&rolled_back), before);
    }
}

/// A small table, one in which each row is narrow, and one in which some are wide.
fn filled(rows: &[u32]) -> Store {
    let store = Store::new();
    store.set_row("small", row_id(0), [("a", 1)]).unwrap();
    for row in rows {
        store.set_row("t", row_id(*row), [("a", row % 3), ("b", 1)]).unwrap();
        let cells = (0..=row % 20).map(|cell| (format!("cell {cell}"), Cell::from(cell)));
        store.set_row("wide", row_id(*row), cells.chain([("b".to_owned(), Cell::from(1))])).unwrap();
    }
    store
}

fn tables() -> impl Strategy<Value = &'static str> {
    prop_oneof![8 => Just("t"), 4 => Just("wide"), 1 => Just("small"), 1 => Just("new")]
}

/// Short ids and long ones.
fn row_id(row: u32) -> String {
    if row.is_multiple_of(5) { format!("the row with the number {row}") } else { format!("r{row}") }
}

/// The events of the store for each transaction, in order, if `listens` is set.
fn log(store: &Store, listens: bool) -> Arc<Mutex<Vec<String>>> {
    let heard = Arc::new(Mutex::new(Vec::new()));
    if listens {
        let heard = Arc::clone(&heard);
        let note = move |log| heard.lock().unwrap().push(log);
        store.add_did_finish_transaction_listener(move |event| note(format!("{:?}", event.log()))).forever();
    }
    heard
}

/// What happens to a row; with `sets` nothing is removed.
fn row_changes(sets: bool) -> BoxedStrategy<Option<RowChanges>> {
    let cell = prop_oneof![Just("a"), Just("b"), Just("c")];
    if sets {
        let cells = vec((cell, (0..3_u32).prop_map(|n| Some(Cell::from(n)))), 0..3);
        return cells.prop_map(|cells| Some(cells.into_iter().collect())).boxed();
    }
    option::of(
        vec((cell, option::of((0..3_u32).prop_map(Cell::from))), 0..3).prop_map(|cells| cells.into_iter().collect()),
    )
    .boxed()
}
