//! Random histories against the obvious model: a plain [`Content`], copied before each transaction.

pub(super) mod ops;

use std::{
    mem,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, Mutex},
    thread,
};

use futures_util::{FutureExt, StreamExt};
use proptest::{collection::vec, prelude::*};

use self::ops::{Op, op, write_to_model, write_to_store};
use super::order;
use crate::{
    ANY,
    content::{Cell, Changes, Content},
    error::{Error, ErrorKind, Result},
    store::{Before, Commit, Origin, Store},
};

/// How a transaction ends.
#[derive(Clone, Debug)]
enum End {
    Commit,
    AsOrigin,
    Fail,
    FailInside,
    Panic,
}

#[derive(Clone, Debug)]
struct Transaction {
    ops: Vec<Op>,
    /// What a will-finish listener writes.
    derived: Vec<Op>,
    end: End,
}

#[derive(Clone, Debug)]
enum Step {
    Transaction(Transaction),
    /// A listener makes these transactions in answer to a write.
    Answers(Vec<Transaction>),
    /// The stream of this number is read.
    Read(usize),
}

type Shared<T> = Arc<Mutex<T>>;

/// The store, the model, and what listeners are to write.
#[derive(Clone, Default)]
struct World {
    store: Store,
    model: Shared<Content>,
    derived: Shared<Vec<Op>>,
    /// What the store held when the will-finish listener was called.
    body_done: Shared<Option<Content>>,
    answers: Shared<Vec<Transaction>>,
    /// What the store held before the open transaction, if there is one: what other threads see.
    committed: Shared<Content>,
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// After every step the store, its order, its hooks, its listeners and its streams agree with the model.
    #[test]
    fn a_store_is_what_its_model_is_after_any_history(steps in vec(step(), 0..24)) {
        let world = World::default();
        let World { store, model, .. } = &world;
        let mut streams = [(Content::new(), store.changes()), (Content::new(), store.changes())];
        let committed = Shared::<Content>::default();
        let hook = follow(&world, &committed);
        let writers = world.listen();
        let (heard, finished) = (Shared::<Content>::default(), Shared::<Content>::default());
        let listeners = mirror(store, &heard, &finished);

        for (index, step) in steps.into_iter().enumerate() {
            match step {
                Step::Transaction(transaction) => world.run(transaction),
                Step::Answers(transactions) => {
                    *world.answers.lock().unwrap() = transactions;
                    let go = Cell::from(u32::try_from(index).unwrap());
                    let ops = vec![Op::SetValue("go".into(), go)];
                    world.run(Transaction { ops, derived: Vec::new(), end: End::Commit });
                }
                Step::Read(n) => {
                    let (copy, changes) = &mut streams[n % 2];
                    let expected = copy.diff(&model.lock().unwrap());
                    match changes.next().now_or_never() {
                        None => prop_assert!(expected.is_empty()),
                        Some(changes) => {
                            prop_assert_eq!(&changes, &Some(expected));
                            copy.apply(&changes.unwrap());
                        }
                    }
                }
            }
            let model = model.lock().unwrap();
            prop_assert_eq!(order(store), format!("{model:?}"));
            for copy in [&heard, &finished, &committed] {
                prop_assert_eq!(&*copy.lock().unwrap(), &*model);
            }
        }
        drop((listeners, writers, hook));
    }
}

impl World {
    /// Runs one transaction on both.
    fn run(&self, Transaction { ops, derived, end }: Transaction) {
        let before = self.model.lock().unwrap().clone();
        *self.committed.lock().unwrap() = before.clone();
        *self.derived.lock().unwrap() = derived;
        let body = |store: &Store| -> Result<()> {
            for (index, op) in ops.iter().enumerate() {
                match index % 2 {
                    0 => self.write(op)?,
                    _ => store.transaction(|_| self.write(op))?,
                }
            }
            others_see(store, &before);
            Ok(())
        };
        let no = || Error::new(ErrorKind::Invalid, "no");
        let failed = match end {
            End::Commit => self.store.transaction(body).is_err(),
            End::AsOrigin => self.store.transact_as(Origin::next(), body).unwrap().0.is_err(),
            End::Fail => self.store.transaction(|store| body(store).and(Err::<(), _>(no()))).is_err(),
            End::FailInside => {
                let outer = self.store.transaction(|store| {
                    let inner = store.transaction(|store| body(store).and(Err::<(), _>(no())));
                    assert!(inner.is_err());
                    store.set_value("never", 1)
                });
                outer.is_err()
            }
            End::Panic => {
                let body = |store: &Store| -> Result<()> {
                    body(store)?;
                    resume_unwind(Box::new("quietly"))
                };
                catch_unwind(AssertUnwindSafe(|| self.store.transaction(body))).is_err()
            }
        };
        assert_eq!(failed, !matches!(end, End::Commit | End::AsOrigin));
        if failed {
            *self.model.lock().unwrap() = before;
        }
        self.derived.lock().unwrap().clear();
    }

    /// The listeners that write.
    fn listen(&self) -> impl Sized {
        // Weak as to the store, which owns the listeners.
        let Self { model, derived, body_done, answers, committed, .. } = self.clone();
        let world = move |store: &Store| Self {
            store: store.clone(),
            model: Arc::clone(&model),
            derived: Arc::clone(&derived),
            body_done: Arc::clone(&body_done),
            answers: Arc::clone(&answers),
            committed: Arc::clone(&committed),
        };
        let derive = {
            let world = world.clone();
            self.store.add_will_finish_transaction_listener(move |event| {
                let world = world(event.store);
                *world.body_done.lock().unwrap() = Some(event.store.content());
                let ops = mem::take(&mut *world.derived.lock().unwrap());
                ops.iter().for_each(|op| world.write(op).unwrap());
                others_see(event.store, &world.committed.lock().unwrap());
            })
        };
        let answer = self.store.add_value_listener("go", move |event| {
            let world = world(event.store);
            let answers = mem::take(&mut *world.answers.lock().unwrap());
            answers.into_iter().for_each(|transaction| world.run(transaction));
        });
        (derive, answer)
    }

    /// Writes the same to both.
    fn write(&self, op: &Op) -> Result<()> {
        let added = match op {
            Op::AddRow(t, row, true) => Some(self.store.add_row(t, row)),
            Op::AddRow(t, row, false) => Some(self.store.add_row_with_new_id(t, row)),
            _ => None,
        };
        write_to_model(&mut self.model.lock().unwrap(), op, added);
        write_to_store(&self.store, op)
    }
}

/// Another thread sees nothing of the open transaction, in whatever way it looks.
fn others_see(store: &Store, committed: &Content) {
    let inside = store.content();
    let look = || {
        assert_eq!(order(store), format!("{committed:?}"));
        assert_eq!(format!("{:?}", store.values()), format!("{:?}", committed.values));
        for (table_id, table) in inside.tables.iter().chain(&committed.tables) {
            for row_id in table.keys() {
                let row = committed.row(table_id, row_id);
                assert_eq!(
                    format!("{:?}", store.row(table_id, row_id)),
                    format!("{:?}", row.cloned().unwrap_or_default())
                );
                assert_eq!(store.has_row(table_id, row_id), row.is_some());
            }
        }
    };
    thread::scope(|scope| scope.spawn(look).join().unwrap());
}

/// One copy maintained by cell and value listeners, from old and new alone; and one from the changes of finished
/// transactions.
fn mirror(store: &Store, heard: &Shared<Content>, finished: &Shared<Content>) -> impl Sized {
    let copy = Arc::clone(heard);
    let cells = store.add_cell_listener(ANY, ANY, ANY, move |event| {
        let mut copy = copy.lock().unwrap();
        assert_eq!(copy.cell(event.table_id, event.row_id, event.cell_id), event.old);
        assert_ne!(event.old, event.new);
        let mut changes = Changes::new();
        match event.new {
            Some(new) => changes.set_cell(event.table_id, event.row_id, event.cell_id, new.clone()),
            None => changes.del_cell(event.table_id, event.row_id, event.cell_id),
        }
        copy.apply(&changes);
    });
    let copy = Arc::clone(heard);
    let values = store.add_value_listener(ANY, move |event| {
        let mut copy = copy.lock().unwrap();
        assert_eq!(copy.values.get(event.value_id), event.old);
        let mut changes = Changes::new();
        changes.values.insert(event.value_id, event.new.cloned());
        copy.apply(&changes);
    });
    let copy = Arc::clone(finished);
    let finish = store.add_did_finish_transaction_listener(move |event| {
        let mut copy = copy.lock().unwrap();
        let changes = event.changes();
        let old = copy.clone();
        copy.apply(&changes);
        assert_eq!(old.diff(&copy), changes);
    });
    (cells, values, finish)
}

/// A copy maintained by a commit hook, which checks what it receives.
fn follow(world: &World, copy: &Shared<Content>) -> impl Sized {
    let (store, body_done, copy) = (world.store.clone(), Arc::clone(&world.body_done), Arc::clone(copy));
    world.store.on_commit(Arc::new(move |commit: &Commit<'_>| {
        let mut copy = copy.lock().unwrap();
        let now = store.content();
        check(&copy, &now, commit.changes, commit.before);
        match (commit.derived, body_done.lock().unwrap().take()) {
            (Some((changes, before)), Some(body_done)) => check(&body_done, &now, changes, before),
            (None, Some(body_done)) => assert!(commit.origin.is_none() || body_done == now),
            (derived, None) => panic!("no will-finish listener was called, but {derived:?}"),
        }
        *copy = now;
    }))
}

/// The changes lead from the old content to the new one, and `before` has the old state of what they touch.
fn check(old: &Content, new: &Content, changes: &Changes, before: &Before) {
    assert_eq!(changes, &old.diff(new));
    for (table_id, rows) in &changes.tables {
        let touched: Vec<_> = match rows {
            Some(rows) => rows.keys().collect(),
            None => old.tables[table_id.as_str()].keys().collect(),
        };
        assert!(touched.iter().all(|row_id| before.tables[table_id.as_str()].contains(row_id)));
    }
    for (table_id, rows) in &before.tables {
        for (row_id, row) in rows {
            assert_eq!(old.row(table_id, row_id).cloned().unwrap_or_default(), *row);
        }
    }
    assert!(changes.values.keys().all(|value_id| before.values.contains(value_id)));
    for (value_id, value) in &before.values {
        assert_eq!(old.values.get(value_id), value.as_ref());
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => transaction().prop_map(Step::Transaction),
        2 => vec(transaction(), 0..4).prop_map(Step::Answers),
        1 => (0..2_usize).prop_map(Step::Read),
    ]
}

fn transaction() -> impl Strategy<Value = Transaction> {
    let end = prop_oneof![
        4 => Just(End::Commit),
        2 => Just(End::AsOrigin),
        1 => Just(End::Fail),
        1 => Just(End::FailInside),
        1 => Just(End::Panic)
    ];
    (vec(op(), 0..8), vec(op(), 0..3), end).prop_map(|(ops, derived, end)| Transaction { ops, derived, end })
}
