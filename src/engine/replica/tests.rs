//! The replica against the obvious model: the full confirmed content, with every unconfirmed edit replayed on it.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::{Replica, Show, View};
use crate::{
    content::{Cell, Changes, Content, Id, Map, Row},
    persister::Receipt,
    store::Before,
};

impl View for Content {
    fn row(&self, table_id: &str, row_id: &str) -> Option<Row> {
        Self::row(self, table_id, row_id).cloned()
    }

    fn row_ids(&self, table_id: &str) -> Vec<Id> {
        self.tables.get(table_id).into_iter().flat_map(Map::keys).cloned().collect()
    }

    fn value(&self, value_id: &str) -> Option<Cell> {
        self.values.get(value_id).cloned()
    }

    fn content(&self) -> Content {
        self.clone()
    }
}

/// One client, its backend, and the stream between them.
#[derive(Debug, Default)]
struct World {
    replica: Replica,
    store: Content,
    /// The confirmed content, as reported to the client: all of it, where the replica has only a shadow.
    confirmed: Content,
    place: Content,
    sent: VecDeque<(Receipt, Changes)>,
    stream: VecDeque<Told>,
    receipts: u64,
}

#[derive(Debug)]
enum Told {
    Changes(Changes),
    Confirmed(Receipt, Changes, Changes),
}

#[derive(Clone, Debug)]
enum Op {
    Edit(Changes),
    Save,
    SaveFails,
    /// A save of the whole content, and the edits made meanwhile.
    SaveDone(Changes),
    Others(Changes),
    Accept,
    /// Accepts the oldest edit in flight, except for these changes.
    Refuse(Changes),
    Tell,
    Load,
    StreamEnds,
    Discard,
}

impl World {
    fn step(&mut self, op: &Op) {
        match op {
            Op::Edit(changes) => self.edit(changes),
            Op::Save => {
                if let Some((_, changes)) = self.replica.take_next() {
                    self.receipts += 1;
                    self.replica.save_sent(Receipt(self.receipts));
                    self.sent.push_back((Receipt(self.receipts), changes));
                }
            }
            Op::SaveFails => {
                self.replica.take_next();
                self.replica.save_failed();
            }
            // A backend that answers at once has reported everything before. So the answer marks the position of the
            // save in the order.
            Op::SaveDone(meanwhile) if self.stream.is_empty() && self.sent.is_empty() => {
                if let Some((_, changes)) = self.replica.take_next() {
                    self.edit(meanwhile);
                    self.place.apply(&changes);
                    self.confirmed.apply(&changes);
                    assert_eq!(self.replica.content_to_save(self.store.clone()), self.place, "what was to be saved");
                    let apply = self.replica.save_done(&self.store, Show::All);
                    self.store.apply(&apply);
                }
            }
            Op::SaveDone(_) => {}
            Op::Others(changes) => {
                self.place.apply(changes);
                self.stream.push_back(Told::Changes(changes.clone()));
            }
            Op::Accept => self.accept(&Changes::new()),
            Op::Refuse(refused) => self.accept(refused),
            Op::Tell => self.tell(),
            Op::Load => {
                self.confirmed = self.place.clone();
                let apply = self.replica.replaced(&self.place, &self.store);
                self.store.apply(&apply);
            }
            Op::StreamEnds => {
                self.sent.clear();
                self.stream.clear();
                self.replica.receipts_lost();
                self.step(&Op::Load);
            }
            Op::Discard => {
                let (_, apply) = self.replica.discard(&self.store);
                self.store.apply(&apply);
            }
        }
    }

    fn edit(&mut self, changes: &Changes) {
        let (net, before) = commit(&mut self.store, changes);
        self.replica.capture(&net, &before);
    }

    fn accept(&mut self, refused: &Changes) {
        if let Some((receipt, changes)) = self.sent.pop_front() {
            let (accepted, refused) = super::without(&changes, refused);
            self.place.apply(&accepted);
            self.stream.push_back(Told::Confirmed(receipt, accepted, refused));
        }
    }

    fn tell(&mut self) {
        let apply = match self.stream.pop_front() {
            None => return,
            Some(Told::Changes(changes)) => {
                self.confirmed.apply(&changes);
                self.replica.changed(&changes, &self.store, Show::All)
            }
            Some(Told::Confirmed(receipt, accepted, refused)) => {
                self.confirmed.apply(&accepted);
                self.replica.confirmed(receipt, &refused, &self.store, Show::All).apply
            }
        };
        self.store.apply(&apply);
    }

    /// R2.
    fn shown(&self) -> Content {
        let mut shown = self.confirmed.clone();
        for edit in self.replica.unconfirmed() {
            shown.apply(edit);
        }
        shown
    }

    fn finish(&mut self) {
        while self.replica.next().is_some() {
            self.step(&Op::Save);
        }
        while !self.sent.is_empty() {
            self.step(&Op::Accept);
        }
        while !self.stream.is_empty() {
            self.step(&Op::Tell);
        }
    }
}

/// Does to a content what a transaction does to a store. Returns the net changes, and the state before them.
pub(in crate::engine) fn commit(store: &mut Content, changes: &Changes) -> (Changes, Before) {
    let old = store.clone();
    store.apply(changes);
    let net = old.diff(store);
    let mut before = Before::default();
    for (table_id, table) in &net.tables {
        let row_ids: Vec<Id> = match table {
            None => View::row_ids(&old, table_id),
            Some(rows) => rows.keys().cloned().collect(),
        };
        for row_id in row_ids {
            let row = old.row(table_id, &row_id).cloned().unwrap_or_default();
            before.tables.get_or_default(table_id).insert(row_id, row);
        }
    }
    for value_id in net.values.keys() {
        before.values.insert(value_id, old.values.get(value_id).cloned());
    }
    (net, before)
}

fn changes() -> impl Strategy<Value = Changes> {
    let one = (0..9_u8, 0..2_u8, 0..3_u8, 0..2_u8, 0..4_i32).prop_map(|(kind, table, row, cell, to)| {
        let (table, row, cell) = (format!("t{table}"), format!("r{row}"), format!("c{cell}"));
        let mut changes = Changes::new();
        match kind {
            0..4 => changes.set_cell(table, row, cell, to.into()),
            4 => changes.del_cell(table, row, cell),
            5 => changes.del_row(table, row),
            6 => changes.del_table(table),
            7 => changes.set_value(cell, to.into()),
            _ => changes.del_value(cell),
        }
        changes
    });
    prop::collection::vec(one, 1..4).prop_map(|parts| {
        let mut all = Changes::new();
        for part in parts {
            for (table_id, table) in part.tables {
                match (table, all.tables.get_mut(&table_id)) {
                    (Some(rows), Some(Some(present))) => present.extend(rows),
                    (table, _) => {
                        all.tables.insert(table_id, table);
                    }
                }
            }
            all.values.extend(part.values);
        }
        all
    })
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => changes().prop_map(Op::Edit),
        4 => Just(Op::Save),
        1 => Just(Op::SaveFails),
        1 => changes().prop_map(Op::SaveDone),
        4 => changes().prop_map(Op::Others),
        4 => Just(Op::Accept),
        2 => changes().prop_map(Op::Refuse),
        6 => Just(Op::Tell),
        1 => Just(Op::Load),
        1 => Just(Op::StreamEnds),
        1 => Just(Op::Discard),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4 * ProptestConfig::default().cases, ..ProptestConfig::default() })]

    #[test]
    fn r2_the_store_is_what_is_confirmed_with_the_unconfirmed_edits_on_top(ops in prop::collection::vec(op(), 1..60)) {
        let mut world = World::default();
        for (index, op) in ops.iter().enumerate() {
            world.step(op);
            prop_assert_eq!(&world.store, &world.shown(), "after {} {:?}", index, op);
        }
        world.finish();
        prop_assert_eq!(&world.store, &world.place);
        prop_assert_eq!(world.replica.unconfirmed().len(), 0);
        prop_assert!(world.replica.shadow.tables.is_empty() && world.replica.shadow.values.is_empty(), "a shadow is left");
    }

    #[test]
    fn r4_an_edit_shows_until_it_is_refused_overwritten_or_given_up(
        ops in prop::collection::vec(op(), 0..40),
        edit in changes(),
        others in changes(),
    ) {
        let mut world = World::default();
        ops.iter().for_each(|op| world.step(op));
        world.finish();
        let before = world.store.clone();
        world.edit(&edit);
        // An edit that changes nothing is no edit, and the changes of others show.
        let edit = before.diff(&world.store);
        world.step(&Op::Others(others));
        for op in [Op::Save, Op::Load, Op::StreamEnds, Op::SaveFails, Op::Load] {
            world.step(&op);
            let mut again = world.store.clone();
            again.apply(&edit);
            prop_assert_eq!(&world.store, &again, "after {:?}", op);
        }
    }
}

fn cell_of(world: &World) -> Option<f64> {
    world.store.cell("t", "r", "c").and_then(Cell::as_f64)
}

fn set(to: i32) -> Changes {
    let mut changes = Changes::new();
    changes.set_cell("t", "r", "c", to.into());
    changes
}

#[test]
fn r1_somebodys_write_that_was_ordered_before_ours_does_not_undo_ours() {
    let mut world = World::default();
    world.step(&Op::Edit(set(5)));
    world.step(&Op::Save);
    world.step(&Op::Others(set(1)));
    world.step(&Op::Accept);
    world.step(&Op::Tell);
    assert_eq!(cell_of(&world), Some(5.0), "theirs is confirmed, ours is still on top");
    world.step(&Op::Tell);
    assert_eq!(cell_of(&world), Some(5.0));
    assert_eq!(world.store, world.place);
}

#[test]
fn r1_somebodys_write_that_was_ordered_after_ours_wins() {
    let mut world = World::default();
    world.step(&Op::Edit(set(5)));
    world.step(&Op::Save);
    world.step(&Op::Accept);
    world.step(&Op::Others(set(1)));
    world.step(&Op::Tell);
    world.step(&Op::Tell);
    assert_eq!(cell_of(&world), Some(1.0));
}

#[test]
fn a_refused_edit_shows_what_the_place_has() {
    let mut world = World::default();
    world.step(&Op::Others(set(1)));
    world.step(&Op::Tell);
    world.step(&Op::Edit(set(5)));
    world.step(&Op::Save);
    world.step(&Op::Refuse(set(0)));
    world.step(&Op::Tell);
    assert_eq!(cell_of(&world), Some(1.0));
}

#[test]
fn edits_that_wait_become_one_and_take_no_more_memory_than_what_they_touch() {
    let mut world = World::default();
    for to in 0..1000 {
        world.step(&Op::Edit(set(to)));
        let mut delete = Changes::new();
        delete.del_row("t", "r");
        world.step(&Op::Edit(delete));
    }
    world.step(&Op::Edit(set(7)));
    assert_eq!(world.replica.unconfirmed().collect::<Vec<_>>(), [&set(7)]);
}

#[test]
fn a_row_that_somebody_adds_to_a_table_being_deleted_stays_hidden_and_comes_back_if_the_deletion_is_refused() {
    let mut world = World::default();
    world.step(&Op::Others(set(1)));
    world.step(&Op::Tell);
    let mut delete = Changes::new();
    delete.del_table("t");
    world.step(&Op::Edit(delete.clone()));
    world.step(&Op::Save);
    let mut add = Changes::new();
    add.set_cell("t", "new", "c", 2.into());
    world.step(&Op::Others(add));
    world.step(&Op::Tell);
    assert!(world.store.is_empty());
    world.step(&Op::Refuse(delete));
    world.step(&Op::Tell);
    assert_eq!(world.store, world.place);
    assert_eq!(world.store.tables["t"].len(), 2);
}
