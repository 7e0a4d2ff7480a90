use std::sync::{Arc, Mutex};

use super::{Heard, pets, row};
use crate::{
    ANY, IdChange,
    content::{Cell, Map},
    error::Result,
    store::Store,
    subscription::Subscription,
};

/// Listens to everything.
fn listen_to_all(store: &Store, heard: &Heard) -> Vec<Subscription> {
    let log = || heard.clone();
    let ids = |ids: &Map<IdChange>| {
        let sign = |(id, change): (_, &IdChange)| format!("{}{id}", if *change == IdChange::Added { "+" } else { "-" });
        ids.iter().map(sign).collect::<Vec<_>>().join(" ")
    };
    vec![
        store.add_start_transaction_listener({
            let log = log();
            move |_| log.note("start")
        }),
        store.add_will_finish_transaction_listener({
            let log = log();
            move |_| log.note("will finish")
        }),
        store.add_did_finish_transaction_listener({
            let log = log();
            move |_| log.note("did finish")
        }),
        store.add_values_listener({
            let log = log();
            move |_| log.note("values")
        }),
        store.add_value_listener(ANY, {
            let log = log();
            move |event| log.note(format!("value {}", event.value_id))
        }),
        store.add_value_ids_listener({
            let log = log();
            move |event| log.note(format!("value ids {}", ids(event.ids)))
        }),
        store.add_tables_listener({
            let log = log();
            move |_| log.note("tables")
        }),
        store.add_table_listener(ANY, {
            let log = log();
            move |event| log.note(format!("table {}", event.table_id))
        }),
        store.add_row_listener(ANY, ANY, {
            let log = log();
            move |event| log.note(format!("row {} {}", event.table_id, event.row_id))
        }),
        store.add_cell_listener(ANY, ANY, ANY, {
            let log = log();
            move |event| log.note(format!("cell {} {} {}", event.table_id, event.row_id, event.cell_id))
        }),
        store.add_cell_ids_listener(ANY, ANY, {
            let log = log();
            move |event| log.note(format!("cell ids {} {}: {}", event.table_id, event.row_id, ids(event.ids)))
        }),
        store.add_row_ids_listener(ANY, {
            let log = log();
            move |event| log.note(format!("row ids {}: {}", event.table_id, ids(event.ids)))
        }),
        store.add_table_ids_listener({
            let log = log();
            move |event| log.note(format!("table ids {}", ids(event.ids)))
        }),
    ]
}

#[test]
fn the_kinds_are_told_in_tinybases_order() {
    let (store, heard) = (pets(), Heard::default());
    let all = listen_to_all(&store, &heard);
    store
        .transaction(|store| -> Result<()> {
            store.set_cell("pets", "fido", "legs", 3)?;
            store.del_cell("pets", "fido", "age")?;
            store.del_row("pets", "nemo")?;
            store.del_table("species")?;
            store.set_row("new", "r", row(&[("x", 1)]))?;
            store.set_value("a", 2)?;
            store.set_value("z", 2)
        })
        .unwrap();
    let expected = [
        "start",
        "will finish",
        "table ids -species +new",
        "row ids pets: -nemo",
        "row ids species: -dog",
        "row ids new: +r",
        "cell ids pets fido: -age",
        "cell ids pets nemo: -legs -age -weight",
        "cell ids species dog: -price",
        "cell ids new r: +x",
        "cell pets fido legs",
        "cell pets fido age",
        "row pets fido",
        "cell pets nemo legs",
        "cell pets nemo age",
        "cell pets nemo weight",
        "row pets nemo",
        "table pets",
        "cell species dog price",
        "row species dog",
        "table species",
        "cell new r x",
        "row new r",
        "table new",
        "tables",
        "value ids +z",
        "value a",
        "value z",
        "values",
        "did finish",
    ];
    assert_eq!(heard.take(), expected);

    store.set_cell("pets", "fido", "legs", 3).unwrap();
    assert_eq!(heard.take(), ["start", "will finish", "did finish"], "nothing changed");
    drop(all);
    store.set_content(&pets().content()).unwrap();
    assert!(heard.take().is_empty());
}

#[test]
fn an_exact_id_comes_before_any_at_every_level() {
    let (store, heard) = (Store::new(), Heard::default());
    let mut listeners = Vec::new();
    // Added in the opposite order, each twice: then it is the order of addition that counts.
    for n in (0..8).rev() {
        let pattern = |bit: i32, id: &str| if n & bit == 0 { id.into() } else { ANY };
        for again in ["", " again"] {
            let log = heard.clone();
            listeners.push(store.add_cell_listener(pattern(4, "t"), pattern(2, "r"), pattern(1, "c"), move |_| {
                log.note(format!("{n}{again}"));
            }));
        }
    }
    for (t, r, c) in [("other", "r", "c"), ("t", "other", "c"), ("t", "r", "other")] {
        let _not_told = store.add_cell_listener(t, r, c, |_| panic!("somebody else's"));
        store.set_cell("t", "r", "c", 1).unwrap();
    }
    assert_eq!(
        heard.take().join(" "),
        "0 0 again 1 1 again 2 2 again 3 3 again 4 4 again 5 5 again 6 6 again 7 7 again"
    );
}

#[test]
fn an_event_knows_what_else_the_transaction_changed() {
    let store = pets();
    let count = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&count);
    let listener = store.add_row_listener("pets", "fido", move |event| {
        *counted.lock().unwrap() += 1;
        let change = event.cell_change("pets", "fido", "legs").unwrap();
        assert_eq!((&change.old, &change.new), (&Some(4.into()), &Some(3.into())));
        let change = event.cell_change("pets", "nemo", "legs").unwrap();
        assert_eq!((&change.old, &change.new), (&Some(0.into()), &None));
        assert_eq!(event.cell_change("pets", "fido", "age"), None);
        assert_eq!(event.store.cell("pets", "fido", "legs"), Some(3.into()));
    });
    let counted = Arc::clone(&count);
    let values = store.add_value_listener("a", move |event| {
        *counted.lock().unwrap() += 1;
        assert_eq!(event.old.and_then(Cell::as_f64), Some(1.0));
        assert_eq!(event.new.and_then(Cell::as_f64), Some(7.0));
        assert_eq!(event.value_change("b").map(|change| &change.new), Some(&None));
        assert_eq!(event.value_change("c"), None);
    });
    store
        .transaction(|store| -> Result<()> {
            store.set_cell("pets", "fido", "legs", 3)?;
            store.set_cell("pets", "fido", "age", 2)?;
            store.set_cell("pets", "fido", "age", 1)?;
            store.del_row("pets", "nemo")?;
            store.set_value("a", 7)?;
            store.del_value("b")
        })
        .unwrap();
    assert_eq!(*count.lock().unwrap(), 2);
    drop((listener, values));
}

#[test]
fn the_log_of_a_transaction_says_it_at_every_level() {
    let store = pets();
    let log = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&log);
    let will = store.add_will_finish_transaction_listener(move |event| kept.lock().unwrap().push(event.log()));
    let kept = Arc::clone(&log);
    let did = store.add_did_finish_transaction_listener(move |event| kept.lock().unwrap().push(event.log()));
    store
        .transaction(|store| -> Result<()> {
            store.del_table("species")?;
            store.set_cell("pets", "fido", "wings", 2)?;
            store.del_value("a")
        })
        .unwrap();
    let log = log.lock().unwrap();
    let [will_finish, did_finish] = log.as_slice() else { panic!("{log:?}") };
    assert_eq!(will_finish, did_finish);
    let one = |id: &str, change: IdChange| Map::from_iter([(id, change)]);
    assert_eq!(did_finish.changed_table_ids, one("species", IdChange::Removed));
    assert_eq!(did_finish.changed_row_ids, Map::from_iter([("species", one("dog", IdChange::Removed))]));
    let cells = [
        ("species", Map::from_iter([("dog", one("price", IdChange::Removed))])),
        ("pets", Map::from_iter([("fido", one("wings", IdChange::Added))])),
    ];
    assert_eq!(did_finish.changed_cell_ids, Map::from_iter(cells));
    assert_eq!(did_finish.changed_value_ids, one("a", IdChange::Removed));
    assert_eq!(did_finish.changed_values["a"].old, Some(1.into()));
    assert_eq!(did_finish.changed_cells["pets"]["fido"]["wings"].new, Some(2.into()));
    assert_eq!(did_finish.changed_cells["pets"].len(), 1);
    drop((will, did));
}

#[test]
fn a_closure_is_dropped_with_its_subscription_and_may_use_the_store_then() {
    struct Farewell(Store);

    impl Drop for Farewell {
        fn drop(&mut self) {
            self.0.set_value("farewell", true).unwrap();
        }
    }

    let store = Store::new();
    let farewell = Farewell(store.clone());
    let listener = store.add_values_listener(move |_| {
        let _kept = &farewell;
    });
    store.set_value("v", 1).unwrap();
    drop(listener);
    assert_eq!(store.value("farewell"), Some(true.into()));
}

#[test]
fn a_subscription_may_outlive_its_store() {
    let store = Store::new();
    let listener = store.add_values_listener(|_| {});
    drop(store);
    drop(listener);
}

#[test]
fn a_listener_may_live_as_long_as_its_store() {
    let (store, heard) = (Store::new(), Heard::default());
    let log = heard.clone();
    store.add_values_listener(move |_| log.note("values")).forever();
    store.set_value("v", 1).unwrap();
    assert_eq!(heard.take(), ["values"]);
    drop(store);
    assert_eq!(Arc::strong_count(&heard.0), 1, "the closure went with the store");
}
