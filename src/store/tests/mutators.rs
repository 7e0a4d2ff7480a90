use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Heard, order};
use crate::{
    ANY, CellSchema, TablesSchema, ValuesSchema,
    content::Cell,
    error::{Error, ErrorKind, Result},
    store::{Origin, Store},
};

fn number(cell: Option<&Cell>) -> f64 {
    cell.and_then(Cell::as_f64).unwrap_or_default()
}

#[test]
fn what_a_mutator_writes_belongs_to_the_transaction() {
    let (store, heard) = (Store::new(), Heard::default());
    let double = store.mutators().add_value_listener("n", |event| {
        event.store.set_value("double", number(event.new) * 2.0).unwrap();
    });
    let log = heard.clone();
    let did = store.add_did_finish_transaction_listener(move |event| log.note(event.changes().to_json()));
    store.set_value("n", 4).unwrap();
    assert_eq!(heard.take(), [r#"[{},{"n":4,"double":8},1]"#]);
    drop((double, did));
}

#[test]
fn what_mutators_write_calls_no_mutators_again() {
    let store = Store::new();
    let add = store.mutators().add_value_listener("n", |event| {
        event.store.set_value("n", number(event.new) + 1.0).unwrap();
    });
    store.set_value("n", 1).unwrap();
    assert_eq!(store.value("n"), Some(2.into()));
    drop(add);
}

#[test]
fn each_group_of_mutators_hears_what_the_groups_before_it_wrote() {
    let (store, heard) = (Store::new(), Heard::default());
    let number = CellSchema::number;
    let tables = TablesSchema::new().with_cell("t", "c", number()).with_cell("t", "mended", number());
    store.set_schema(tables, ValuesSchema::new().with_value("sum", number()).with_value("log", number())).unwrap();
    let mend = store.mutators().add_invalid_cell_listener(ANY, ANY, ANY, |event| {
        event.store.set_cell("t", "r", "mended", 1).unwrap();
    });
    let sum = store.mutators().add_cell_listener("t", "r", "mended", |event| {
        event.store.set_value("sum", 1).unwrap();
        event.store.set_value("bad", 1).unwrap();
    });
    let log = heard.clone();
    let invalid = store.mutators().add_invalid_value_listener("bad", move |_| log.note("bad"));
    let log = heard.clone();
    let values = store.mutators().add_value_listener("sum", move |event| {
        log.note("sum");
        event.store.set_cell("t", "late", "c", 1).unwrap();
    });
    let log = heard.clone();
    let late = store.mutators().add_cell_listener("t", "late", ANY, move |_| log.note("too late"));
    store.set_cell("t", "r", "c", "text").unwrap();
    assert_eq!(heard.take(), ["bad", "sum"]);
    assert_eq!(store.json(), r#"[{"t":{"r":{"mended":1},"late":{"c":1}}},{"sum":1}]"#);
    drop((mend, sum, invalid, values, late));
}

#[test]
fn a_mutator_looks_up_what_was_when_its_group_was_called() {
    let (store, heard) = (Store::new(), Heard::default());
    let first = store.mutators().add_value_listener("a", |event| event.store.set_value("a", 2).unwrap());
    let log = heard.clone();
    let second = store.mutators().add_values_listener(move |event| {
        let change = event.value_change("a").map(|change| number(change.new.as_ref()));
        log.note(format!("{change:?} {}", number(event.store.value("a").as_ref())));
    });
    store.set_value("a", 1).unwrap();
    assert_eq!(heard.take(), ["Some(1.0) 2"], "the event is of then, the store of now");
    drop((first, second));
}

#[test]
fn a_mutator_that_panics_rolls_back_and_silences_those_behind_it() {
    let (store, heard) = (Store::new(), Heard::default());
    store.set_value("n", 1).unwrap();
    let before = order(&store);
    let strict = store.mutators().add_value_listener("n", |event| assert!(number(event.new) < 9.0, "too much"));
    let log = heard.clone();
    let behind = store.mutators().add_values_listener(move |_| log.note("behind"));
    let log = heard.clone();
    let will = store.add_will_finish_transaction_listener(move |_| log.note("will"));
    let log = heard.clone();
    let did = store.add_did_finish_transaction_listener(move |_| log.note("did"));
    assert!(catch_unwind(AssertUnwindSafe(|| store.set_value("n", 9))).is_err());
    assert_eq!(order(&store), before);
    assert!(heard.take().is_empty());
    store.set_value("n", 8).unwrap();
    assert_eq!(heard.take(), ["behind", "will", "did"]);
    drop((strict, behind, will, did));
}

#[test]
fn a_write_that_fails_in_a_mutator_rolls_the_transaction_back() {
    let store = Store::new();
    let failing = store.mutators().add_values_listener(|event| {
        let failed = event.store.transaction(|_| Err::<(), _>(Error::new(ErrorKind::Invalid, "no")));
        assert!(failed.is_err());
    });
    assert_eq!(store.set_value("n", 1).unwrap_err().kind(), ErrorKind::Callback);
    assert!(!store.has_values());
    drop(failing);
}

#[test]
fn mutators_hear_nothing_of_what_was_set_and_set_back() {
    let (store, heard) = (Store::new(), Heard::default());
    let log = heard.clone();
    let mutator = store.mutators().add_value_listener(ANY, move |_| log.note("value"));
    store
        .transaction(|store| -> Result<()> {
            store.set_value("n", 1)?;
            store.del_value("n")
        })
        .unwrap();
    assert!(heard.take().is_empty());
    drop(mutator);
}

#[test]
fn r4_what_mutators_make_of_an_origins_writes_is_told_apart() {
    let (store, heard) = (Store::new(), Heard::default());
    let double = store.mutators().add_value_listener("n", |event| {
        event.store.set_value("double", number(event.new) * 2.0).unwrap();
    });
    let log = heard.clone();
    let hook = store.on_commit(std::sync::Arc::new(move |commit| {
        let derived = commit.derived.map(|(changes, _)| changes.to_json());
        log.note(format!("{} {derived:?}", commit.changes.to_json()));
    }));
    store.transact_as(Origin::next(), |store| store.set_value("n", 2)).unwrap().0.unwrap();
    let expected = format!("{} {:?}", r#"[{},{"n":2,"double":4},1]"#, Some(r#"[{},{"double":4},1]"#));
    assert_eq!(heard.take(), [expected]);
    drop(double);

    let panics = store.mutators().add_value_listener("n", |event| {
        event.store.set_value("double", 0).unwrap();
        panic!("in a mutator");
    });
    let (result, panicked) = store.transact_as(Origin::next(), |store| store.set_value("n", 3)).unwrap();
    result.unwrap();
    assert!(panicked);
    assert_eq!(store.json(), r#"[{},{"n":3,"double":4}]"#, "r2: the origin's own write stays");
    drop((panics, hook));
}
