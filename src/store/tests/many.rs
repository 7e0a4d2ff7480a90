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
        rows in vec((0..250_u32, prop_oneof![9 => row_changes(true), 1 => row_changes(false)]), 0..200),
        listens: bool,
    ) {
        let mut changes = Changes::new();
        // Rows that are the same, rows that change, and rows that are new.
        for (row, cells) in rows {
            changes.tables.get_or_default(&Id::from("t")).get_or_insert_default().insert(format!("r{row}"), cells);
        }
        let (at_once, one_by_one) = (filled(&present), filled(&present));
        let before = order(&at_once);
        let told: Vec<_> = [&at_once, &one_by_one].into_iter().map(|store| log(store, listens)).collect();

        at_once.apply_changes(&changes).unwrap();
        one_by_one.transaction(|store| {
            for (row_id, cells) in changes.tables.get("t").into_iter().flatten().flatten() {
                let mut one = Changes::new();
                one.tables.get_or_default(&Id::from("t")).get_or_insert_default().insert(row_id, cells.clone());
                store.apply_changes(&one)?;
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

fn filled(rows: &[u32]) -> Store {
    let store = Store::new();
    for row in rows {
        store.set_row("t", format!("r{row}"), [("a", row % 3), ("b", 1)]).unwrap();
    }
    store
}

/// What the store tells of each transaction, in order, if anybody `listens`.
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
