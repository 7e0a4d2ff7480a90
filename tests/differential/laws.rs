//! What holds for a store whatever is done to it, without anything to compare it with: for property tests and fuzzers.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use roommate::{ANY, Cell, Content, Id, IdChange, Store, Subscription};

use super::{
    ours::{StepKind, World},
    script::Script,
};

/// Runs a script, and checks after each step that
///
/// - what was rolled back left nothing, the order of ids included;
/// - listeners were called for what differs between the contents before and after, once for each, and for nothing else;
/// - the changes that a finished transaction tells lead from the one content to the other;
/// - all ways to read agree, and the content is the same after a journey through JSON.
pub(crate) fn hold_for(script: &Script) {
    let world = World::default();
    let told = Arc::<Mutex<Told>>::default();
    let listeners = listen(&world.store, &told);
    let mut last = in_order(&world.store);
    world.run(script, |World { store, .. }, step| {
        readings_agree(store);
        if step.kind == StepKind::Inside {
            return;
        }
        let now = in_order(store);
        if step.kind == StepKind::RolledBack {
            assert_eq!(now, last, "a rollback leaves nothing");
        }
        last = now;
        let told = told.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(told.content, store.content(), "whoever listens knows what the store holds");
        assert!(told.calls.is_empty(), "nobody is told of anything but transactions that finish: {:?}", told.calls);
        json_is_the_same(store);
    });
    drop(listeners);
}

/// What listeners were told.
#[derive(Debug, Default)]
struct Told {
    /// The content after the last transaction, as its changes told it.
    content: Content,
    /// The calls of the transaction that is told of.
    calls: Vec<Call>,
}

/// A listener's kind, the ids it was told, and whether they came or went.
type Call = (&'static str, Vec<String>, i8);

fn listen(store: &Store, told: &Arc<Mutex<Told>>) -> Vec<Subscription> {
    macro_rules! listener {
        (|$told:ident, $event:ident| $body:expr) => {{
            let told = Arc::clone(told);
            move |$event| {
                let $told = &mut *told.lock().unwrap_or_else(PoisonError::into_inner);
                $body
            }
        }};
    }
    vec![
        store.add_table_ids_listener(listener!(|told, event| told.ids("table ids", &[], event.ids))),
        store.add_row_ids_listener(ANY, listener!(|told, event| told.ids("row ids", &[event.table_id], event.ids))),
        store.add_cell_ids_listener(
            ANY,
            ANY,
            listener!(|told, event| told.ids("cell ids", &[event.table_id, event.row_id], event.ids)),
        ),
        store.add_cell_listener(
            ANY,
            ANY,
            ANY,
            listener!(|told, event| {
                assert_eq!(told.content.cell(event.table_id, event.row_id, event.cell_id), event.old);
                assert_eq!(event.store.cell(event.table_id, event.row_id, event.cell_id).as_ref(), event.new);
                told.call("cell", &[event.table_id, event.row_id, event.cell_id], 0);
            }),
        ),
        store.add_row_listener(ANY, ANY, listener!(|told, event| told.call("row", &[event.table_id, event.row_id], 0))),
        store.add_table_listener(ANY, listener!(|told, event| told.call("table", &[event.table_id], 0))),
        store.add_tables_listener(listener!(|told, _event| told.call("tables", &[], 0))),
        store.add_value_ids_listener(listener!(|told, event| told.ids("value ids", &[], event.ids))),
        store.add_value_listener(
            ANY,
            listener!(|told, event| {
                assert_eq!(told.content.values.get(event.value_id), event.old);
                assert_eq!(event.store.value(event.value_id).as_ref(), event.new);
                told.call("value", &[event.value_id], 0);
            }),
        ),
        store.add_values_listener(listener!(|told, _event| told.call("values", &[], 0))),
        store.add_did_finish_transaction_listener(listener!(|told, event| {
            let before = told.content.clone();
            told.content.apply(&event.changes());
            let after = event.store.content();
            assert_eq!(told.content, after, "changes lead from one content to the next");
            assert_eq!(before.diff(&after), event.changes(), "changes are no more than what differs");
            let mut calls = std::mem::take(&mut told.calls);
            calls.sort();
            assert_eq!(calls, expected(&before, &after), "listeners are called for what differs");
        })),
    ]
}

impl Told {
    fn call(&mut self, kind: &'static str, ids: &[&Id], change: i8) {
        self.calls.push((kind, ids.iter().map(|id| id.as_str().to_owned()).collect(), change));
    }

    fn ids(&mut self, kind: &'static str, path: &[&Id], ids: &roommate::Map<IdChange>) {
        assert!(!ids.is_empty());
        for (id, change) in ids {
            self.call(kind, &[path, &[id]].concat(), if *change == IdChange::Added { 1 } else { -1 });
        }
    }
}

/// The calls that tell of the difference between two contents, sorted.
fn expected(before: &Content, after: &Content) -> Vec<Call> {
    let mut calls = BTreeSet::new();
    let mut ids = |kind, ids: &[&Id], (before, after): (bool, bool)| {
        if before != after {
            calls.insert((kind, strings(ids), if after { 1 } else { -1 }));
        }
    };
    for table_id in before.tables.keys().chain(after.tables.keys()) {
        ids("table ids", &[table_id], (before.tables.contains(table_id), after.tables.contains(table_id)));
    }
    for value_id in before.values.keys().chain(after.values.keys()) {
        ids("value ids", &[value_id], (before.values.contains(value_id), after.values.contains(value_id)));
    }
    let rows = |content: &Content| -> Vec<(Id, Id)> {
        let tables = content.tables.iter();
        tables.flat_map(|(t, rows)| rows.keys().map(|r| (t.clone(), r.clone())).collect::<Vec<_>>()).collect()
    };
    let mut changed: Vec<[Id; 3]> = Vec::new();
    for (table_id, row_id) in rows(before).iter().chain(&rows(after)) {
        let (old, new) = (before.row(table_id, row_id), after.row(table_id, row_id));
        ids("row ids", &[table_id, row_id], (old.is_some(), new.is_some()));
        for cell_id in [old, new].into_iter().flatten().flat_map(|row| row.keys()) {
            let (old, new) = (old.and_then(|row| row.get(cell_id)), new.and_then(|row| row.get(cell_id)));
            ids("cell ids", &[table_id, row_id, cell_id], (old.is_some(), new.is_some()));
            if old != new {
                changed.push([table_id.clone(), row_id.clone(), cell_id.clone()]);
            }
        }
    }
    for [table_id, row_id, cell_id] in &changed {
        calls.insert(("cell", strings(&[table_id, row_id, cell_id]), 0));
        calls.insert(("row", strings(&[table_id, row_id]), 0));
        calls.insert(("table", strings(&[table_id]), 0));
        calls.insert(("tables", Vec::new(), 0));
    }
    for value_id in before.values.keys().chain(after.values.keys()) {
        if before.values.get(value_id) != after.values.get(value_id) {
            calls.insert(("value", strings(&[value_id]), 0));
            calls.insert(("values", Vec::new(), 0));
        }
    }
    calls.into_iter().collect()
}

fn strings(ids: &[&Id]) -> Vec<String> {
    ids.iter().map(|id| id.as_str().to_owned()).collect()
}

/// Everything, in its order.
fn in_order(store: &Store) -> String {
    format!("{:?}", store.content())
}

fn readings_agree(store: &Store) {
    let content = store.content();
    assert_eq!(store.has_tables(), !content.tables.is_empty());
    assert_eq!(store.has_values(), !content.values.is_empty());
    assert_eq!(store.table_ids(), content.tables.keys().cloned().collect::<Vec<_>>());
    assert_eq!(store.value_ids(), content.values.keys().cloned().collect::<Vec<_>>());
    for (table_id, table) in &content.tables {
        assert!(!table.is_empty(), "there is no table without rows");
        assert_eq!(store.row_ids(table_id), table.keys().cloned().collect::<Vec<_>>());
        assert_eq!(store.row_count(table_id), table.len());
        for (row_id, row) in table {
            assert!(!row.is_empty(), "there is no row without cells");
            assert_eq!(&store.row(table_id, row_id), row);
            assert_eq!(store.cell_ids(table_id, row_id), row.keys().cloned().collect::<Vec<_>>());
            assert!(row.iter().all(|(id, cell)| store.cell(table_id, row_id, id).as_ref() == Some(cell)));
        }
        let cell_ids: BTreeSet<_> = table.values().flat_map(|row| row.keys().map(Id::as_str)).collect();
        assert_eq!(store.table_cell_ids(table_id).iter().map(Id::as_str).collect::<BTreeSet<_>>(), cell_ids);
        assert!(cell_ids.iter().all(|cell_id| store.has_table_cell(table_id, cell_id)));
    }
    let known = |(id, value): (&Id, &Cell)| store.value(id).as_ref() == Some(value);
    assert!(content.values.iter().all(known));
}

fn json_is_the_same(store: &Store) {
    let json = store.json();
    let other = Store::new();
    assert_eq!(other.set_json(&json).ok(), Some(0));
    assert_eq!(other.content(), store.content());
    assert_eq!(other.json(), json);
}
