use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
};

use super::{order, pets};
use crate::{
    content::{Cell, Changes, Content, Row},
    error::{Error, ErrorKind, Result},
    store::{Before, Commit, CommitHook, Origin, Store},
};

/// One commit, stored.
#[derive(Debug)]
struct Kept {
    origin: Option<Origin>,
    changes: Changes,
    before: Before,
    derived: Option<(Changes, Before)>,
}

type Commits = Arc<Mutex<Vec<Kept>>>;

fn keep_commits(store: &Store) -> (Commits, CommitHook) {
    let commits = Commits::default();
    let kept = Arc::clone(&commits);
    let hook = store.on_commit(Arc::new(move |commit: &Commit<'_>| {
        kept.lock().unwrap().push(Kept {
            origin: commit.origin,
            changes: commit.changes.clone(),
            before: commit.before.clone(),
            derived: commit.derived.map(|(changes, before)| (changes.clone(), before.clone())),
        });
    }));
    (commits, hook)
}

fn take(commits: &Commits) -> Vec<Kept> {
    std::mem::take(&mut commits.lock().unwrap())
}

#[test]
fn a_single_write_tells_what_it_changed_and_that_it_wrote() {
    let store = pets();
    let heard = super::Heard::default();
    let log = heard.clone();
    let _listener = store.add_did_finish_transaction_listener(move |event| {
        let touched = event.log();
        log.note(format!("{} {} {}", event.changes().to_json(), touched.cells_touched, touched.values_touched));
    });
    store.set_cell("pets", "fido", "legs", 3).unwrap();
    store.set_cell("pets", "fido", "legs", 3).unwrap();
    store.set_value("a", 2).unwrap();
    let mut changes = Changes::new();
    changes.set_cell("pets", "fido", "legs", 4.into());
    changes.set_value("a", 1.into());
    store.apply_changes(&changes).unwrap();
    let expected = [
        r#"[{"pets":{"fido":{"legs":3}}},{},1] true false"#,
        r#"[{},{},1] false false"#,
        r#"[{},{"a":2},1] false true"#,
        r#"[{"pets":{"fido":{"legs":4}}},{"a":1},1] true true"#,
    ];
    assert_eq!(heard.take(), expected);
}

#[test]
fn r3_a_hook_hears_net_changes_and_what_was_there_before() {
    let store = pets();
    let old = store.content();
    let (commits, hook) = keep_commits(&store);
    store
        .transaction(|store| -> Result<()> {
            store.set_cell("pets", "fido", "legs", 3)?;
            store.set_cell("pets", "polly", "legs", 9)?;
            store.set_cell("pets", "polly", "legs", 2)?;
            store.set_cell("pets", "new", "legs", 8)?;
            store.del_row("pets", "nemo")?;
            store.del_table("species")?;
            store.set_value("z", 1)?;
            store.del_value("a")
        })
        .unwrap();
    drop(hook);
    store.set_value("after", 1).unwrap();

    let commits = take(&commits);
    let [Kept { origin: None, changes, before, derived: None }] = commits.as_slice() else { panic!("{commits:?}") };
    let mut expected = Changes::new();
    expected.set_cell("pets", "fido", "legs", 3.into());
    expected.set_cell("pets", "new", "legs", 8.into());
    expected.del_row("pets", "nemo");
    expected.del_table("species");
    expected.set_value("z", 1.into());
    expected.del_value("a");
    assert_eq!(changes, &expected);
    let mut pets = old.tables["pets"].clone();
    pets.insert("new", Row::new());
    assert_eq!(before.tables["pets"], pets);
    assert_eq!(before.tables["species"], old.tables["species"]);
    assert_eq!(before.values, [("a", Some(Cell::from(1))), ("z", None)].into_iter().collect());
}

#[test]
fn r3_a_hook_is_called_before_any_listener_and_may_not_write() {
    let store = Store::new();
    let order = Arc::new(Mutex::new(Vec::new()));
    let (inside, seen) = (store.clone(), Arc::clone(&order));
    let hook = store.on_commit(Arc::new(move |_: &Commit<'_>| {
        assert_eq!(inside.value("v"), Some(1.into()));
        assert_eq!(inside.set_value("v", 2).unwrap_err().kind(), ErrorKind::Callback);
        seen.lock().unwrap().push("hook");
    }));
    let seen = Arc::clone(&order);
    let listener = store.add_values_listener(move |_| seen.lock().unwrap().push("listener"));
    store.set_value("v", 1).unwrap();
    store.set_value("v", 1).unwrap();
    assert_eq!(*order.lock().unwrap(), ["hook", "listener"]);
    assert_eq!(store.value("v"), Some(1.into()));
    drop((hook, listener));
}

#[test]
fn r4_what_listeners_write_into_an_origins_transaction_is_told_apart() {
    let store = Store::new();
    store.set_value("x", 0).unwrap();
    let (commits, hook) = keep_commits(&store);
    let derive = store.add_will_finish_transaction_listener(|event| {
        let double = event.store.value("x").and_then(|x| x.as_f64()).unwrap() * 2.0;
        event.store.set_value("double", double).unwrap();
    });
    let origin = Origin::next();
    assert_ne!(origin, Origin::next());
    store.transact_as(origin, |store| store.set_value("x", 5)).unwrap().0.unwrap();
    let told = take(&commits);
    let [Kept { origin: Some(by), changes, before, derived: Some((derived, derived_before)) }] = told.as_slice() else {
        panic!("{told:?}")
    };
    assert_eq!(*by, origin);
    assert_eq!(changes.to_json(), r#"[{},{"x":5,"double":10},1]"#);
    assert_eq!(before.values, [("x", Some(Cell::from(0))), ("double", None)].into_iter().collect());
    assert_eq!(derived.to_json(), r#"[{},{"double":10},1]"#);
    assert_eq!(derived_before.values, [("double", None)].into_iter().collect());

    // A listener that takes back what the origin wrote: no change on the whole, and yet an edit.
    drop(derive);
    let stubborn = store.add_will_finish_transaction_listener(|event| event.store.set_value("x", 5).unwrap());
    store.transact_as(origin, |store| store.set_value("x", 6)).unwrap().0.unwrap();
    let told = take(&commits);
    let [Kept { changes, derived: Some((derived, before)), .. }] = told.as_slice() else { panic!("{told:?}") };
    assert!(changes.is_empty());
    assert_eq!(derived.to_json(), r#"[{},{"x":5},1]"#);
    assert_eq!(before.values, [("x", Some(Cell::from(6)))].into_iter().collect());
    drop((hook, stubborn));
}

#[test]
fn r4_what_start_listeners_write_before_an_origins_body_is_the_applications() {
    let store = Store::new();
    let (commits, hook) = keep_commits(&store);
    let start = store.add_start_transaction_listener(|event| event.store.set_value("started", true).unwrap());
    let listener = store.add_did_finish_transaction_listener(|event| {
        assert_eq!(event.changes().to_json(), r#"[{},{"started":true,"x":1},1]"#);
    });
    let origin = Origin::next();
    store.transact_as(origin, |store| store.set_value("x", 1)).unwrap().0.unwrap();
    let told = take(&commits);
    let told: Vec<_> = told.iter().map(|kept| (kept.origin, kept.changes.to_json(), &kept.derived)).collect();
    assert_eq!(
        told,
        [(None, r#"[{},{"started":true},1]"#.to_owned(), &None), (Some(origin), r#"[{},{"x":1},1]"#.to_owned(), &None)]
    );
    drop((hook, start, listener));
}

#[test]
fn r2_no_listener_can_undo_what_an_origin_wrote() {
    let store = Store::new();
    let bad = (
        store.add_start_transaction_listener(|_| panic!("start")),
        store.add_will_finish_transaction_listener(|event| {
            event.store.set_value("half", true).unwrap();
            panic!("will finish");
        }),
        store.add_will_finish_transaction_listener(|event| {
            let failed = event.store.transaction(|_| Err::<(), _>(Error::new(ErrorKind::Invalid, "no")));
            assert!(failed.is_err());
        }),
        store.add_values_listener(|_| panic!("values")),
    );
    let (commits, hook) = keep_commits(&store);
    let (result, panicked) =
        store.transact_as(Origin::next(), |store| store.set_value("x", 1).map(|()| "done")).unwrap();
    assert_eq!(result.unwrap(), "done");
    assert!(panicked);
    assert_eq!(store.json(), r#"[{},{"x":1}]"#);
    let told = take(&commits);
    assert!(matches!(told.as_slice(), [Kept { derived: None, .. }]), "{told:?}");
    drop((bad, hook));
}

#[test]
fn a_panic_of_an_origins_own_body_rolls_it_back_and_no_hook_hears() {
    let store = pets();
    let before = order(&store);
    let (commits, hook) = keep_commits(&store);
    let panic = catch_unwind(AssertUnwindSafe(|| {
        store.transact_as(Origin::next(), |store| {
            store.set_content(&Content::new()).unwrap();
            panic!("in the body");
        })
    }));
    assert!(panic.is_err());
    assert_eq!(order(&store), before);
    assert!(take(&commits).is_empty());
    drop(hook);
}
