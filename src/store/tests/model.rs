//! Random histories against the obvious model: a plain [`Content`], copied before each transaction.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
};

use futures_util::{FutureExt, StreamExt};
use proptest::{collection::vec, option, prelude::*};

use super::order;
use crate::{
    ANY,
    content::{Cell, Changes, Content, Id, Map, Row, RowChanges, Table, TableChanges, Tables, Values},
    error::{Error, ErrorKind, Result},
    store::{Commit, Origin, Store},
};

#[derive(Clone, Debug)]
enum Op {
    SetCell(Id, Id, Id, Cell),
    SetRow(Id, Id, Row),
    SetPartialRow(Id, Id, Row),
    AddRow(Id, Row, bool),
    SetTable(Id, Table),
    SetTables(Tables),
    SetValue(Id, Cell),
    SetValues(Values),
    SetPartialValues(Values),
    SetContent(Content),
    Apply(Changes),
    DelCell(Id, Id, Id),
    DelRow(Id, Id),
    DelTable(Id),
    DelTables,
    DelValue(Id),
    DelValues,
}

/// How a transaction ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Commit,
    AsOrigin,
    Fail,
    FailInside,
    Panic,
}

#[derive(Clone, Debug)]
enum Step {
    Transaction(Vec<Op>, End),
    /// The stream of this number is read.
    Read(usize),
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// After every step the store, its order, its hooks, its listeners and its streams agree with the model.
    #[test]
    fn a_store_is_what_its_model_is_after_any_history(steps in vec(step(), 0..24)) {
        let store = Store::new();
        let mut model = Content::new();
        let mut streams = [(Content::new(), store.changes()), (Content::new(), store.changes())];
        let heard = Arc::new(Mutex::new(Content::new()));
        let listeners = mirror(&store, &heard);
        let committed = Arc::new(Mutex::new(Content::new()));
        let hook = follow(&store, &committed);

        for step in steps {
            match step {
                Step::Transaction(ops, end) => {
                    let before = model.clone();
                    let kept = run(&store, &mut model, &ops, end);
                    if !kept {
                        model = before;
                    }
                }
                Step::Read(n) => {
                    let (copy, changes) = &mut streams[n % 2];
                    if let Some(changes) = changes.next().now_or_never() {
                        copy.apply(&changes.expect("the store is still there"));
                    }
                    prop_assert_eq!(&*copy, &model);
                }
            }
            prop_assert_eq!(order(&store), format!("{model:?}"));
            prop_assert_eq!(&*heard.lock().unwrap(), &model);
            prop_assert_eq!(&*committed.lock().unwrap(), &model);
        }
        for (copy, changes) in &mut streams {
            if let Some(Some(changes)) = changes.next().now_or_never() {
                copy.apply(&changes);
            }
            prop_assert_eq!(&*copy, &model);
        }
        drop((listeners, hook));
    }
}

/// Runs one transaction on both, and says whether it was kept.
fn run(store: &Store, model: &mut Content, ops: &[Op], end: End) -> bool {
    let mut body = |store: &Store| -> Result<()> {
        for (index, op) in ops.iter().enumerate() {
            if index % 2 == 0 {
                write(store, model, op)?;
            } else {
                store.transaction(|store| write(store, model, op))?;
            }
        }
        Ok(())
    };
    let no = || Error::new(ErrorKind::Invalid, "no");
    match end {
        End::Commit => {
            store.transaction(body).unwrap();
            true
        }
        End::AsOrigin => {
            store.transact_as(Origin::next(), body).unwrap();
            true
        }
        End::Fail => {
            let failed = store.transaction(|store| body(store).and(Err::<(), _>(no())));
            assert!(failed.is_err());
            false
        }
        End::FailInside => {
            let failed = store.transaction(|store| {
                let _ = store.transaction(|store| body(store).and(Err::<(), _>(no())));
                store.set_value("never", 1)
            });
            assert!(failed.is_err());
            false
        }
        End::Panic => {
            let panic = catch_unwind(AssertUnwindSafe(|| {
                store.transaction(|store| -> Result<()> {
                    body(store)?;
                    std::panic::resume_unwind(Box::new("quietly"));
                })
            }));
            assert!(panic.is_err());
            false
        }
    }
}

/// A copy that cell and value listeners keep, from old and new alone.
fn mirror(store: &Store, copy: &Arc<Mutex<Content>>) -> impl Sized {
    let mirror = Arc::clone(copy);
    let cells = store.add_cell_listener(ANY, ANY, ANY, move |event| {
        let mut copy = mirror.lock().unwrap();
        assert_eq!(copy.cell(event.table_id, event.row_id, event.cell_id), event.old);
        assert_ne!(event.old, event.new);
        let mut changes = Changes::new();
        match event.new {
            Some(new) => changes.set_cell(event.table_id, event.row_id, event.cell_id, new.clone()),
            None => changes.del_cell(event.table_id, event.row_id, event.cell_id),
        }
        copy.apply(&changes);
    });
    let mirror = Arc::clone(copy);
    let values = store.add_value_listener(ANY, move |event| {
        let mut copy = mirror.lock().unwrap();
        assert_eq!(copy.values.get(event.value_id), event.old);
        let mut changes = Changes::new();
        changes.values.insert(event.value_id, event.new.cloned());
        copy.apply(&changes);
    });
    (cells, values)
}

/// A copy that a commit hook keeps, which checks what it is told.
fn follow(store: &Store, copy: &Arc<Mutex<Content>>) -> impl Sized {
    let (inside, copy) = (store.clone(), Arc::clone(copy));
    store.on_commit(Arc::new(move |commit: &Commit<'_>| {
        let mut copy = copy.lock().unwrap();
        let now = inside.content();
        assert_eq!(commit.changes, &copy.diff(&now));
        for (table_id, rows) in &commit.changes.tables {
            let touched = match rows {
                Some(rows) => rows.keys().collect::<Vec<_>>(),
                None => copy.tables[table_id.as_str()].keys().collect(),
            };
            assert!(touched.iter().all(|row_id| commit.before.tables[table_id.as_str()].contains(row_id)));
        }
        for (table_id, rows) in &commit.before.tables {
            for (row_id, row) in rows {
                assert_eq!(copy.row(table_id, row_id).cloned().unwrap_or_default(), *row);
            }
        }
        assert!(commit.changes.values.keys().all(|value_id| commit.before.values.contains(value_id)));
        for (value_id, value) in &commit.before.values {
            assert_eq!(copy.values.get(value_id), value.as_ref());
        }
        copy.apply(commit.changes);
        assert_eq!(*copy, now);
    }))
}

/// Writes the same to both.
fn write(store: &Store, model: &mut Content, op: &Op) -> Result<()> {
    match op {
        Op::SetCell(t, r, c, cell) => {
            set_cell(model, t, r, c, cell);
            store.set_cell(t, r, c, cell)
        }
        Op::SetRow(t, r, row) => {
            set_row(model, t, r, row);
            store.set_row(t, r, row)
        }
        Op::SetPartialRow(t, r, row) => {
            row.iter().for_each(|(c, cell)| set_cell(model, t, r, c, cell));
            store.set_partial_row(t, r, row)
        }
        Op::AddRow(t, row, reuse) => {
            let added = if *reuse { store.add_row(t, row) } else { store.add_row_with_new_id(t, row) };
            match added {
                Ok(r) => {
                    assert_eq!(model.row(t, &r), None, "the id is new");
                    set_row(model, t, &r, row);
                }
                Err(error) => assert!(row.is_empty(), "{error}"),
            }
            Ok(())
        }
        Op::SetTable(t, table) => {
            set_table(model, t, table);
            store.set_table(t, table)
        }
        Op::SetTables(tables) => {
            set_tables(model, tables);
            store.set_tables(tables)
        }
        Op::SetValue(v, value) => {
            model.values.insert(v, value.clone());
            store.set_value(v, value)
        }
        Op::SetValues(values) => {
            set_values(model, values);
            store.set_values(values)
        }
        Op::SetPartialValues(values) => {
            model.values.extend(values.clone());
            store.set_partial_values(values)
        }
        Op::SetContent(content) => {
            match content.tables.is_empty() {
                true => model.tables.clear(),
                false => set_tables(model, &content.tables),
            }
            match content.values.is_empty() {
                true => model.values.clear(),
                false => set_values(model, &content.values),
            }
            store.set_content(content)
        }
        Op::Apply(changes) => {
            for (t, rows) in &changes.tables {
                let Some(rows) = rows else {
                    model.tables.remove(t);
                    continue;
                };
                for (r, cells) in rows {
                    let Some(cells) = cells else {
                        del_row(model, t, r);
                        continue;
                    };
                    for (c, cell) in cells {
                        match cell {
                            Some(cell) => set_cell(model, t, r, c, cell),
                            None => del_cell(model, t, r, c),
                        }
                    }
                }
            }
            for (v, value) in &changes.values {
                match value {
                    Some(value) => model.values.insert(v, value.clone()),
                    None => model.values.remove(v),
                };
            }
            store.apply_changes(changes)
        }
        Op::DelCell(t, r, c) => {
            del_cell(model, t, r, c);
            store.del_cell(t, r, c)
        }
        Op::DelRow(t, r) => {
            del_row(model, t, r);
            store.del_row(t, r)
        }
        Op::DelTable(t) => {
            model.tables.remove(t);
            store.del_table(t)
        }
        Op::DelTables => {
            model.tables.clear();
            store.del_tables()
        }
        Op::DelValue(v) => {
            model.values.remove(v);
            store.del_value(v)
        }
        Op::DelValues => {
            model.values.clear();
            store.del_values()
        }
    }
}

fn set_cell(model: &mut Content, t: &Id, r: &Id, c: &Id, cell: &Cell) {
    model.tables.get_or_default(t).get_or_default(r).insert(c, cell.clone());
}

fn del_cell(model: &mut Content, t: &Id, r: &Id, c: &Id) {
    if let Some(row) = model.tables.get_mut(t).and_then(|table| table.get_mut(r)) {
        row.remove(c);
        model.prune();
    }
}

fn del_row(model: &mut Content, t: &Id, r: &Id) {
    if let Some(table) = model.tables.get_mut(t) {
        table.remove(r);
        model.prune();
    }
}

fn set_row(model: &mut Content, t: &Id, r: &Id, row: &Row) {
    if !row.is_empty() {
        let old = model.tables.get_or_default(t).get_or_default(r);
        old.extend(row.clone());
        old.retain(|c, _| row.contains(c));
    }
}

fn set_table(model: &mut Content, t: &Id, table: &Table) {
    if table.values().any(|row| !row.is_empty()) {
        table.iter().for_each(|(r, row)| set_row(model, t, r, row));
        model.tables.get_or_default(t).retain(|r, _| table.get(r).is_some_and(|row| !row.is_empty()));
    }
}

fn set_tables(model: &mut Content, tables: &Tables) {
    let holds = |table: &Table| table.values().any(|row| !row.is_empty());
    if tables.values().any(holds) {
        tables.iter().for_each(|(t, table)| set_table(model, t, table));
        model.tables.retain(|t, _| tables.get(t).is_some_and(holds));
    }
}

fn set_values(model: &mut Content, values: &Values) {
    if !values.is_empty() {
        model.values.extend(values.clone());
        model.values.retain(|v, _| values.contains(v));
    }
}

fn step() -> impl Strategy<Value = Step> {
    let end = prop_oneof![
        4 => Just(End::Commit), 2 => Just(End::AsOrigin), 1 => Just(End::Fail), 1 => Just(End::FailInside), 1 => Just(End::Panic)
    ];
    prop_oneof![
        4 => (vec(op(), 0..8), end).prop_map(|(ops, end)| Step::Transaction(ops, end)),
        1 => (0..2_usize).prop_map(Step::Read),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (id(), id(), id(), cell()).prop_map(|(t, r, c, cell)| Op::SetCell(t, r, c, cell)),
        4 => (id(), id(), id()).prop_map(|(t, r, c)| Op::DelCell(t, r, c)),
        3 => (id(), id()).prop_map(|(t, r)| Op::DelRow(t, r)),
        2 => (id(), id(), row()).prop_map(|(t, r, row)| Op::SetRow(t, r, row)),
        2 => (id(), id(), row()).prop_map(|(t, r, row)| Op::SetPartialRow(t, r, row)),
        2 => (id(), row(), any::<bool>()).prop_map(|(t, row, reuse)| Op::AddRow(t, row, reuse)),
        1 => (id(), table()).prop_map(|(t, table)| Op::SetTable(t, table)),
        1 => tables().prop_map(Op::SetTables),
        2 => id().prop_map(Op::DelTable),
        1 => Just(Op::DelTables),
        3 => (id(), cell()).prop_map(|(v, value)| Op::SetValue(v, value)),
        2 => id().prop_map(Op::DelValue),
        1 => row().prop_map(Op::SetValues),
        1 => row().prop_map(Op::SetPartialValues),
        1 => Just(Op::DelValues),
        1 => (tables(), row()).prop_map(|(tables, values)| Op::SetContent(Content { tables, values })),
        2 => changes().prop_map(Op::Apply),
    ]
}

/// Few ids, so that they meet; two that the pool of row ids gives out as well.
fn id() -> impl Strategy<Value = Id> {
    prop_oneof![Just("a"), Just("b"), Just("0"), Just("1")].prop_map(Id::from)
}

fn cell() -> impl Strategy<Value = Cell> {
    prop_oneof![Just(Cell::Null), any::<bool>().prop_map(Cell::from), (0..3).prop_map(Cell::from)]
}

fn row() -> impl Strategy<Value = Row> {
    vec((id(), cell()), 0..3).prop_map(Map::from_iter)
}

fn table() -> impl Strategy<Value = Table> {
    vec((id(), row()), 0..3).prop_map(Map::from_iter)
}

fn tables() -> impl Strategy<Value = Tables> {
    vec((id(), table()), 0..3).prop_map(Map::from_iter)
}

fn row_changes() -> impl Strategy<Value = RowChanges> {
    vec((id(), option::of(cell())), 0..3).prop_map(Map::from_iter)
}

fn table_changes() -> impl Strategy<Value = TableChanges> {
    vec((id(), option::of(row_changes())), 0..3).prop_map(Map::from_iter)
}

fn changes() -> impl Strategy<Value = Changes> {
    let tables = vec((id(), option::of(table_changes())), 0..3).prop_map(Map::from_iter);
    (tables, row_changes()).prop_map(|(tables, values)| Changes { tables, values })
}
