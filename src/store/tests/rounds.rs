use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, OnceLock},
};

use super::Heard;
use crate::{
    ANY,
    content::Cell,
    error::{ErrorKind, Result},
    store::Store,
    subscription::Subscription,
};

fn number(cell: Option<&Cell>) -> f64 {
    cell.and_then(Cell::as_f64).unwrap_or_default()
}

#[test]
fn what_a_listener_writes_is_there_at_once_and_told_in_the_next_round() {
    let (store, heard) = (Store::new(), Heard::default());
    let double = store.add_cell_listener("t", ANY, "n", |event| {
        let n = number(event.new);
        event.store.set_cell("t", event.row_id, "double", n * 2.0).unwrap();
        assert_eq!(event.store.cell("t", event.row_id, "double").as_ref().and_then(Cell::as_f64), Some(n * 2.0));
    });
    let log = heard.clone();
    let told = store.add_cell_listener(ANY, ANY, ANY, move |event| {
        log.note(format!("{} {} {}", event.cell_id, number(event.old), number(event.new)));
    });
    let log = heard.clone();
    let did = store.add_did_finish_transaction_listener(move |event| log.note(event.changes().to_json()));
    store.set_cell("t", "r", "n", 4).unwrap();
    let rounds = ["n 0 4", r#"[{"t":{"r":{"n":4}}},{},1]"#, "double 0 8", r#"[{"t":{"r":{"double":8}}},{},1]"#];
    assert_eq!(heard.take(), rounds);
    drop((double, told, did));
}

#[test]
fn what_several_listeners_write_in_one_round_is_told_together() {
    let (store, heard) = (Store::new(), Heard::default());
    let writers: Vec<_> = (1..4)
        .map(|n| {
            store.add_value_listener("go", move |event| {
                event.store.set_value("last", n).unwrap();
                event.store.set_value("passing", n).unwrap();
                event.store.del_value("passing").unwrap();
                event.store.set_value(format!("mine {n}"), n).unwrap();
            })
        })
        .collect();
    let log = heard.clone();
    let did = store.add_did_finish_transaction_listener(move |event| log.note(event.changes().to_json()));
    store.set_value("go", true).unwrap();
    assert_eq!(heard.take(), [r#"[{},{"go":true},1]"#, r#"[{},{"last":3,"mine 1":1,"mine 2":2,"mine 3":3},1]"#]);
    drop((writers, did));
}

#[test]
fn a_transaction_of_a_listener_that_fails_leaves_no_trace() {
    let (store, heard) = (Store::new(), Heard::default());
    let writer = store.add_value_listener("go", |event| {
        let failed = event.store.transaction(|store| -> Result<()> {
            store.set_value("x", 1)?;
            store.set_value("y", f64::NAN)
        });
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::Invalid);
    });
    let log = heard.clone();
    let values = store.add_values_listener(move |_| log.note("values"));
    store.set_value("go", true).unwrap();
    assert_eq!(heard.take(), ["values"]);
    assert_eq!(store.json(), r#"[{},{"go":true}]"#);
    drop((writer, values));
}

#[test]
fn listeners_that_answer_each_other_for_ever_are_stopped() {
    let store = Store::new();
    let refused = Arc::new(OnceLock::new());
    let seen = Arc::clone(&refused);
    let listener = store.add_value_listener("n", move |event| {
        if let Err(error) = event.store.set_value("n", number(event.new) + 1.0) {
            seen.set(error.kind()).unwrap();
        }
    });
    store.set_value("n", 1).unwrap();
    assert_eq!(refused.get(), Some(&ErrorKind::Callback));
    assert_eq!(store.value("n"), Some(100.into()));
    drop(listener);
    store.set_value("n", 1).unwrap();
    assert_eq!(store.value("n"), Some(1.into()), "it goes on as usual");
}

#[test]
fn listeners_that_write_twice_for_each_write_are_stopped_as_soon() {
    let (store, heard) = (Store::new(), Heard::default());
    let log = heard.clone();
    let listener = store.add_values_listener(move |event| {
        log.note("round");
        for id in ["a", "b"] {
            let next = number(event.store.value(id).as_ref()) + 1.0;
            let _refused_in_the_end = event.store.set_value(id, next);
        }
    });
    store.set_value("a", 1).unwrap();
    assert_eq!(heard.take().len(), 100);
    drop(listener);
}

#[test]
fn writing_what_is_there_already_is_no_answer() {
    let (store, heard) = (Store::new(), Heard::default());
    let log = heard.clone();
    let listener = store.add_did_finish_transaction_listener(move |event| {
        log.note("did finish");
        event.store.set_value("v", 1).unwrap();
    });
    store.set_value("v", 1).unwrap();
    assert_eq!(heard.take(), ["did finish"]);
    drop(listener);
}

#[test]
fn a_listener_that_panics_harms_nobody_else() {
    let (store, heard) = (Store::new(), Heard::default());
    let mut listeners = Vec::new();
    for n in 0..3 {
        let log = heard.clone();
        listeners.push(store.add_value_listener("v", move |event| {
            log.note(format!("listener {n}"));
            if n == 0 {
                event.store.set_value("seen", true).unwrap();
            }
            if n < 2 {
                panic!("listener {n}");
            }
        }));
    }
    let log = heard.clone();
    let seen = store.add_value_listener("seen", move |_| log.note("next round"));
    let log = heard.clone();
    let did = store.add_did_finish_transaction_listener(move |_| log.note("did finish"));
    let panic = catch_unwind(AssertUnwindSafe(|| store.set_value("v", 1)));
    assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"listener 0".to_owned()));
    assert_eq!(store.json(), r#"[{},{"v":1,"seen":true}]"#);
    let expected = ["listener 0", "listener 1", "listener 2", "did finish", "next round", "did finish"];
    assert_eq!(heard.take(), expected);
    drop(listeners);
    store.set_value("v", 2).unwrap();
    assert_eq!(heard.take(), ["did finish"]);
    drop((seen, did));
}

#[test]
fn listeners_are_added_and_ended_by_listeners() {
    let (store, heard) = (Store::new(), Heard::default());
    let slot = Arc::new(Mutex::new(None::<Subscription>));

    // Called first, this listener ends the one after it and adds one, which is first notified of the next transaction.
    let (log, other) = (heard.clone(), Arc::clone(&slot));
    let first = store.add_value_listener("v", move |event| {
        log.note("first");
        let log = log.clone();
        let new = event.store.add_value_listener("v", move |_| log.note("new"));
        let old = other.lock().unwrap().replace(new);
        drop(old);
    });
    let log = heard.clone();
    let second = store.add_value_listener("v", move |_| log.note("second"));
    *slot.lock().unwrap() = Some(second);
    store.set_value("v", 1).unwrap();
    assert_eq!(heard.take(), ["first"]);
    drop(first);
    store.set_value("v", 2).unwrap();
    assert_eq!(heard.take(), ["new"]);

    *slot.lock().unwrap() = None;

    // A listener for a kind that has not been reported yet when it is added.
    let (log, other) = (heard.clone(), Arc::clone(&slot));
    let first = store.add_value_listener("v", move |event| {
        let log = log.clone();
        let old = other.lock().unwrap().replace(event.store.add_values_listener(move |_| log.note("values")));
        drop(old);
    });
    store.set_value("v", "two").unwrap();
    assert!(heard.take().is_empty());
    drop(first);
    store.set_value("v", "more").unwrap();
    assert_eq!(heard.take(), ["values"]);

    // A listener that ends itself.
    let own = Arc::new(Mutex::new(None::<Subscription>));
    let (log, itself) = (heard.clone(), Arc::clone(&own));
    let once = store.add_value_listener("v", move |_| {
        log.note("once");
        let ended = itself.lock().unwrap().take();
        drop(ended);
    });
    *own.lock().unwrap() = Some(once);
    *slot.lock().unwrap() = None;
    store.set_value("v", 3).unwrap();
    store.set_value("v", 4).unwrap();
    assert_eq!(heard.take(), ["once"]);
}
