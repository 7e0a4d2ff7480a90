//! Transactions that are finished explicitly, and `do_rollback`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Heard, order, pets, row};
use crate::{
    ANY,
    error::{Error, ErrorKind, Result},
    store::Store,
};

fn listen(store: &Store, heard: &Heard) {
    let log = heard.clone();
    store.add_start_transaction_listener(move |_| log.note("start")).forever();
    let log = heard.clone();
    store.mutators().add_values_listener(move |_| log.note("mutator")).forever();
    let log = heard.clone();
    store
        .add_will_finish_transaction_listener(move |event| log.note(format!("will {}", event.changes().to_json())))
        .forever();
    let log = heard.clone();
    store.add_invalid_cell_listener(ANY, ANY, ANY, move |_| log.note("invalid")).forever();
    let log = heard.clone();
    store.add_values_listener(move |_| log.note("values")).forever();
    let log = heard.clone();
    store
        .add_did_finish_transaction_listener(move |event| log.note(format!("did {}", event.changes().to_json())))
        .forever();
}

#[test]
fn by_hand_it_is_told_when_it_is_finished() {
    let (store, heard) = (Store::new(), Heard::default());
    listen(&store, &heard);
    let transaction = store.start_transaction().unwrap();
    store.set_value("a", 1).unwrap();
    let inner = store.start_transaction().unwrap();
    store.set_value("b", 2).unwrap();
    inner.finish().unwrap();
    assert_eq!(heard.take(), ["start"]);
    transaction.finish().unwrap();
    let changes = r#"[{},{"a":1,"b":2},1]"#;
    assert_eq!(heard.take(), ["mutator", &format!("will {changes}"), "values", &format!("did {changes}")]);
}

#[test]
fn by_hand_it_is_rolled_back_when_it_is_dropped() {
    let (store, heard) = (pets(), Heard::default());
    let before = order(&store);
    listen(&store, &heard);
    let transaction = store.start_transaction().unwrap();
    store.set_value("a", 5).unwrap();
    store.del_tables().unwrap();
    drop(transaction);
    assert_eq!(order(&store), before);
    let transaction = store.start_transaction().unwrap();
    store.set_value("a", 5).unwrap();
    transaction.roll_back();
    assert_eq!(order(&store), before);
    assert_eq!(heard.take(), ["start", "start"]);
    let panic = catch_unwind(AssertUnwindSafe(|| {
        let _transaction = store.start_transaction();
        store.set_value("a", 5).unwrap();
        panic!("before the end");
    }));
    assert!(panic.is_err());
    assert_eq!(order(&store), before);
}

#[test]
fn a_part_that_is_dropped_rolls_all_of_it_back() {
    let store = pets();
    let before = order(&store);
    let transaction = store.start_transaction().unwrap();
    store.set_value("a", 5).unwrap();
    drop(store.start_transaction().unwrap());
    assert_eq!(transaction.finish().unwrap_err().kind(), ErrorKind::Callback);
    assert_eq!(order(&store), before);
    let failed = store.transaction(|store| -> Result<()> {
        store.set_value("a", 5)?;
        store.start_transaction()?.roll_back();
        Ok(())
    });
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::Callback);
    assert_eq!(order(&store), before);
}

#[test]
fn a_part_that_outlives_the_whole_is_over() {
    let store = Store::new();
    let whole = store.start_transaction().unwrap();
    let part = store.start_transaction().unwrap();
    store.set_value("a", 1).unwrap();
    whole.finish().unwrap();
    assert_eq!(store.value("a"), Some(1.into()));
    let other = store.start_transaction().unwrap();
    store.set_value("a", 2).unwrap();
    assert_eq!(part.finish().unwrap_err().kind(), ErrorKind::Closed);
    other.finish().unwrap();
    assert_eq!(store.value("a"), Some(2.into()));
    let outside = &store;
    let part = store.transaction(|store| store.set_value("a", 3).and_then(|()| outside.start_transaction()));
    drop(part.unwrap());
    assert_eq!(store.value("a"), Some(3.into()));
    std::thread::scope(|scope| scope.spawn(|| store.set_value("a", 4)).join()).unwrap().unwrap();
}

#[test]
fn another_thread_waits_for_a_transaction_by_hand() {
    let store = Store::new();
    let transaction = store.start_transaction().unwrap();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| store.update_value("n", |n| n.and_then(|n| n.as_f64()).unwrap_or_default() + 1.0));
        store.set_value("n", 1).unwrap();
        transaction.finish().unwrap();
        other.join().unwrap().unwrap();
    });
    assert_eq!(store.value("n"), Some(2.into()));
}

#[test]
fn a_second_thought_takes_everything_back_and_is_told() {
    let (store, heard) = (pets(), Heard::default());
    let before = order(&store);
    listen(&store, &heard);
    let body = |store: &Store| -> Result<i32> {
        store.set_value("a", 5)?;
        store.del_table("pets")?;
        store.set_row("pets", "r", row(&[]))?;
        Ok(7)
    };
    let result = store.transaction_or_rollback(body, |event| {
        assert_eq!(event.changes().to_json(), r#"[{"pets":"￼"},{"a":5},1]"#);
        assert_eq!(event.log().invalid_cells.len(), 1);
        true
    });
    assert_eq!(result.unwrap(), 7, "the result is that of the body");
    assert_eq!(order(&store), before);
    let nothing = "[{},{},1]";
    let told = ["start", "mutator", &format!("will {nothing}"), "invalid", &format!("did {nothing}")];
    assert_eq!(heard.take(), told);
    assert_eq!(store.transaction_or_rollback(body, |_| false).unwrap(), 7);
    assert_eq!(store.value("a"), Some(5.into()));
    heard.take();

    let transaction = store.start_transaction().unwrap();
    store.set_value("a", 6).unwrap();
    transaction.finish_or_rollback(|event| !event.changes().values.is_empty()).unwrap();
    assert_eq!(store.value("a"), Some(5.into()));
}

#[test]
fn a_second_thought_is_asked_after_the_mutators_and_only_of_the_whole() {
    let (store, heard) = (Store::new(), Heard::default());
    let add = store.mutators().add_value_listener("a", |event| event.store.set_value("added", true).unwrap());
    let log = heard.clone();
    store
        .transaction_or_rollback(
            |store| store.transaction_or_rollback(|store| store.set_value("a", 1), |_| panic!("of a part nobody asks")),
            move |event| {
                log.note(event.changes().to_json());
                false
            },
        )
        .unwrap();
    assert_eq!(heard.take(), [r#"[{},{"a":1,"added":true},1]"#]);
    drop(add);
}

#[test]
fn will_finish_listeners_write_after_a_second_thought_too() {
    let store = Store::new();
    let will = store.add_will_finish_transaction_listener(|event| event.store.set_value("seen", true).unwrap());
    store.transaction_or_rollback(|store| store.set_value("a", 1), |_| true).unwrap();
    assert_eq!(store.json(), r#"[{},{"seen":true}]"#);
    drop(will);
}

#[test]
fn a_second_thought_that_panics_rolls_back() {
    let (store, heard) = (Store::new(), Heard::default());
    listen(&store, &heard);
    let panic = catch_unwind(AssertUnwindSafe(|| {
        store.transaction_or_rollback(|store| store.set_value("a", 1), |_| panic!("undecided"))
    }));
    assert!(panic.is_err());
    assert!(!store.has_values());
    assert_eq!(heard.take(), ["start", "mutator"]);
}

#[test]
fn who_heard_that_it_will_finish_hears_that_it_did_even_after_a_panic() {
    let (store, heard) = (Store::new(), Heard::default());
    listen(&store, &heard);
    let strict = store.add_will_finish_transaction_listener(|_| panic!("no"));
    assert!(catch_unwind(AssertUnwindSafe(|| store.set_value("a", 1))).is_err());
    assert_eq!(heard.take(), ["start", "mutator", r#"will [{},{"a":1},1]"#, "did [{},{},1]"]);
    drop(strict);
}

#[test]
fn after_a_panic_nothing_is_left_of_what_was_invalid() {
    let (store, heard) = (Store::new(), Heard::default());
    let strict = store.add_will_finish_transaction_listener(|event| {
        assert!(event.log().invalid_cells.is_empty(), "nothing invalid is taken");
    });
    let log = heard.clone();
    let did = store.add_did_finish_transaction_listener(move |event| {
        log.note(format!("{} invalid", event.log().invalid_cells.len()));
    });
    let panic = catch_unwind(AssertUnwindSafe(|| store.set_row("t", "r", row(&[]))));
    assert!(panic.is_err());
    assert_eq!(heard.take(), ["0 invalid"]);
    drop(strict);
    store.set_row("t", "r", row(&[])).unwrap();
    assert_eq!(heard.take(), ["1 invalid"]);
    drop(did);
}

#[test]
fn the_open_transaction_tells_what_it_has_come_to() {
    let store = pets();
    assert!(store.transaction_changes().is_empty());
    store
        .transaction(|store| -> Result<()> {
            store.set_value("a", 5)?;
            store.set_value("b", 2)?;
            store.set_cell("pets", "fido", "legs", 3)?;
            store.set_cell("pets", "fido", "legs", 4)?;
            assert_eq!(store.transaction_changes().to_json(), r#"[{},{"a":5},1]"#);
            let log = store.transaction_log();
            assert!(log.cells_touched && log.values_touched);
            assert!(log.changed_cells.is_empty());
            assert_eq!(log.changed_values["a"].old, Some(1.into()));
            Err(Error::new(ErrorKind::Invalid, "no"))
        })
        .unwrap_err();
}

#[test]
fn objects_and_arrays_survive_a_rollback() {
    let store = Store::new();
    store.set_cell("t", "r", "object", serde_json::json!({"a": 1})).unwrap();
    store.set_value("array", serde_json::json!([1, 2])).unwrap();
    let before = order(&store);
    let refused = store.transaction(|store| -> Result<()> {
        store.set_cell("t", "r", "object", 1)?;
        store.del_value("array")?;
        Err(Error::new(ErrorKind::Invalid, "no"))
    });
    assert!(refused.is_err());
    assert_eq!(order(&store), before);
}
