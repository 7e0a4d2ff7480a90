use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Heard, order, pets};
use crate::{
    ANY, Cell,
    error::{Error, ErrorKind, Result},
    store::{CellChange, Store},
};

fn no() -> Error {
    Error::new(ErrorKind::Invalid, "no")
}

fn edit_everything(store: &Store) -> Result<()> {
    store.set_cell("pets", "fido", "legs", 3)?;
    store.del_cell("pets", "fido", "age")?;
    store.set_cell("pets", "fido", "age", 1)?;
    store.del_row("pets", "polly")?;
    store.set_row("pets", "polly", [("wings", 2)])?;
    store.del_table("species")?;
    store.set_row("species", "cat", [("price", 4)])?;
    store.add_row("new", [("x", 4)])?;
    store.del_value("a")?;
    store.set_value("a", 4)?;
    store.set_value("z", 4)?;
    store.del_tables()?;
    store.add_row("pets", [("x", 4)])?;
    Ok(())
}

#[test]
fn an_error_rolls_back_even_the_order_and_nobody_hears() {
    let (store, heard) = (pets(), Heard::default());
    let before = order(&store);
    let log = heard.clone();
    let cells = store.add_cell_listener(ANY, ANY, ANY, move |_| log.note("cell"));
    let log = heard.clone();
    let values = store.add_values_listener(move |_| log.note("values"));
    let log = heard.clone();
    let will = store.add_will_finish_transaction_listener(move |_| log.note("will"));
    let log = heard.clone();
    let did = store.add_did_finish_transaction_listener(move |_| log.note("did"));
    let refused = store.transaction(|store| edit_everything(store).and(Err::<(), _>(no())));
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(order(&store), before);
    assert!(heard.take().is_empty());
    drop((cells, values, will, did));
}

#[test]
fn a_panic_rolls_back_and_goes_on_to_the_caller() {
    let store = pets();
    let before = order(&store);
    let panic = catch_unwind(AssertUnwindSafe(|| {
        store.transaction(|store| -> Result<()> {
            edit_everything(store)?;
            panic!("in the body");
        })
    }));
    assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"in the body"));
    assert_eq!(order(&store), before);
    store.set_value("a", 2).unwrap();
    assert_eq!(store.value("a"), Some(2.into()));
}

#[test]
fn a_nested_failure_rolls_back_the_outer_transaction_even_if_it_was_caught() {
    let store = pets();
    let before = order(&store);
    let outer = store.transaction(|store| -> Result<&str> {
        store.set_value("a", 5)?;
        let inner = store.transaction(|store| -> Result<()> {
            store.set_value("b", 5)?;
            Err(no())
        });
        assert!(inner.is_err());
        store.set_value("c", 5)?;
        Ok("never mind")
    });
    assert_eq!(outer.unwrap_err().kind(), ErrorKind::Callback);
    assert_eq!(order(&store), before);

    let outer = store.transaction(|store| -> Result<()> {
        let inner = catch_unwind(AssertUnwindSafe(|| {
            store.transaction(|store| -> Result<()> {
                store.set_value("b", 5)?;
                panic!("in the inner body");
            })
        }));
        assert!(inner.is_err());
        Ok(())
    });
    assert_eq!(outer.unwrap_err().kind(), ErrorKind::Callback);
    assert_eq!(order(&store), before);
}

#[test]
fn nested_transactions_are_told_as_one() {
    let (store, heard) = (Store::new(), Heard::default());
    let log = heard.clone();
    let did = store.add_did_finish_transaction_listener(move |event| log.note(event.changes().to_json()));
    store
        .transaction(|store| -> Result<()> {
            store.set_value("a", 1)?;
            store.transaction(|store| store.set_value("b", 2))?;
            store.set_value("c", 3)
        })
        .unwrap();
    assert_eq!(heard.take(), [r#"[{},{"a":1,"b":2,"c":3},1]"#]);
    drop(did);
}

#[test]
fn an_argument_that_cannot_be_taken_fails_its_call_and_not_the_transaction() {
    let store = Store::new();
    store
        .transaction(|store| -> Result<()> {
            store.set_cell("t", "r", "a", 1)?;
            assert_eq!(store.set_cell("t", "r", "b", f64::NAN).unwrap_err().kind(), ErrorKind::Invalid);
            assert_eq!(store.update_value("v", |_| f64::NAN).unwrap_err().kind(), ErrorKind::Invalid);
            assert_eq!(
                store.set_row("t", "r", [("a", "fine"), ("b", "\u{FFFC}")]).unwrap_err().kind(),
                ErrorKind::Invalid
            );
            Ok(())
        })
        .unwrap();
    assert_eq!(store.json(), r#"[{"t":{"r":{"a":1}}},{}]"#);
}

#[test]
fn net_changes_tell_the_highest_level_and_nothing_that_was_set_back() {
    let changes = |edit: fn(&Store) -> Result<()>| {
        let (store, heard) = (pets(), Heard::default());
        let log = heard.clone();
        let did = store.add_did_finish_transaction_listener(move |event| log.note(event.changes().to_json()));
        store.transaction(edit).unwrap();
        drop(did);
        heard.take().join(" ").replace('\u{FFFC}', "gone")
    };
    assert_eq!(changes(|_| Ok(())), "[{},{},1]");
    assert_eq!(changes(|store| store.del_table("species")), r#"[{"species":"gone"},{},1]"#);
    assert_eq!(changes(|store| store.del_row("species", "dog")), r#"[{"species":"gone"},{},1]"#);
    assert_eq!(changes(|store| store.del_row("pets", "nemo")), r#"[{"pets":{"nemo":"gone"}},{},1]"#);
    assert_eq!(changes(|store| store.del_cell("pets", "nemo", "age")), r#"[{"pets":{"nemo":{"age":"gone"}}},{},1]"#);
    let back = |store: &Store| {
        store.set_value("a", 9)?;
        store.set_value("a", 1)?;
        store.del_value("b")?;
        store.set_value("b", 2)?;
        store.set_cell("new", "r", "c", 1)?;
        store.del_table("new")?;
        store.del_row("species", "dog")?;
        store.set_cell("species", "dog", "price", 5)
    };
    assert_eq!(changes(back), "[{},{},1]");
    let other_cells = |store: &Store| {
        store.del_row("pets", "nemo")?;
        store.set_row("pets", "nemo", [("legs", 0), ("fins", 3)])
    };
    assert_eq!(changes(other_cells), r#"[{"pets":{"nemo":{"age":"gone","weight":"gone","fins":3}}},{},1]"#);
    let other_rows = |store: &Store| {
        store.del_table("species")?;
        store.set_row("species", "cat", [("price", 1)])
    };
    assert_eq!(changes(other_rows), r#"[{"species":{"dog":"gone","cat":{"price":1}}},{},1]"#);
}

#[test]
fn will_finish_listeners_write_into_the_transaction_and_undo_it_by_a_panic() {
    let store = Store::new();
    let total = store.add_will_finish_transaction_listener(|event| {
        let changed = event.changes().values.len();
        event.store.set_value("changed", i32::try_from(changed).unwrap()).unwrap();
    });
    store.transaction(|store| store.set_partial_values([("a", 1), ("b", 2)])).unwrap();
    assert_eq!(store.json(), r#"[{},{"a":1,"b":2,"changed":2}]"#);
    drop(total);

    let strict = store.add_will_finish_transaction_listener(|event| {
        assert!(event.store.value("a") == Some(1.into()), "a is 1");
    });
    let before = order(&store);
    let panic = catch_unwind(AssertUnwindSafe(|| store.set_value("a", 2)));
    assert!(panic.is_err());
    assert_eq!(order(&store), before);
    store.set_value("b", 3).unwrap();
    drop(strict);
}

#[test]
fn start_listeners_write_into_the_transaction() {
    let (store, heard) = (Store::new(), Heard::default());
    let start = store.add_start_transaction_listener(|event| {
        assert!(event.changes().is_empty());
        event.store.update_value("n", |n| n.and_then(|n| n.as_f64()).unwrap_or_default() + 1.0).unwrap();
    });
    let log = heard.clone();
    let did = store.add_did_finish_transaction_listener(move |event| log.note(event.changes().to_json()));
    store.set_value("a", 1).unwrap();
    assert_eq!(heard.take(), [r#"[{},{"n":1,"a":1},1]"#]);
    let refused = store.transaction(|_| Err::<(), _>(no()));
    assert!(refused.is_err());
    assert_eq!(store.value("n"), Some(1.into()));
    drop((start, did));
}

#[test]
fn the_ids_of_rows_that_a_rollback_took_back_are_given_out_again() {
    let store = Store::new();
    store.add_row("t", [("c", 1)]).unwrap();
    let refused = store.transaction(|store| -> Result<()> {
        assert_eq!(store.add_row("t", [("c", 1)])?, "1");
        Err(no())
    });
    assert!(refused.is_err());
    assert_eq!(store.add_row("t", [("c", 1)]).unwrap(), "1");
    assert_eq!(store.add_row("t", [("c", 1)]).unwrap(), "2");
}

#[test]
fn a_lone_cell_is_told_and_undone_as_one_of_several_is() {
    type Write = fn(&Store) -> Result<()>;
    let others: [Write; 4] = [
        |_| Ok(()),
        |store| store.set_cell("pets", "fido", "legs", 2),
        |store| store.set_cell("pets", "polly", "legs", 1),
        |store| store.del_row("pets", "fido"),
    ];
    for (at, other) in others.into_iter().enumerate() {
        let (store, heard) = (pets(), Heard::default());
        let (before, fido) = (order(&store), store.row("pets", "fido"));
        let write = |store: &Store| {
            store.set_cell("pets", "fido", "legs", 3)?;
            other(store)
        };
        store.transaction(|store| write(store).and(Err::<(), _>(no()))).unwrap_err();
        assert_eq!(order(&store), before);

        let log = heard.clone();
        let row = store.add_row_listener("pets", "fido", move |event| {
            log.note(format!("{:?} {:?}", event.cell_change("pets", "fido", "legs"), event.old_row()));
        });
        let finished = store.add_did_finish_transaction_listener(move |event| {
            let (changes, log) = (event.changes(), event.log());
            let cells = changes.tables["pets"].as_ref().and_then(|rows| rows["fido"].clone());
            let new = cells.and_then(|cells| cells["legs"].clone());
            assert_eq!(log.changed_cells["pets"]["fido"]["legs"].new, new);
            assert_eq!(changes.tables["pets"].as_ref().map(|rows| rows.len()), Some(log.changed_cells["pets"].len()));
        });
        store.transaction(write).unwrap();
        let new: &[Option<Cell>] = &[Some(3.into()), Some(2.into()), Some(3.into()), None];
        let change = CellChange { old: fido.get("legs").cloned(), new: new[at].clone() };
        assert_eq!(heard.take(), [format!("{:?} {fido:?}", Some(change))]);
        drop((row, finished));
    }
}
