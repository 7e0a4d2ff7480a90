//! Cores and replicas of several clients against one backend, under every schedule that a seed can make.

use std::{collections::HashMap, time::Duration};

use proptest::prelude::*;

use super::{Call, CallId, Status};
use crate::content::{Cell, Changes, Content};

mod client;
mod place;

use client::{Client, Outcome};
use place::{Place, paths};

const CLIENTS: usize = 3;

/// Several clients, their backend, and which client wrote what.
#[derive(Debug)]
struct World {
    place: Place,
    clients: Vec<Client>,
    /// The last value written. Every write writes a value of its own.
    written: i32,
    authors: HashMap<i32, usize>,
    /// What each client wrote last to a path, or `None` if it deleted what was there.
    last: Vec<HashMap<String, Option<i32>>>,
}

#[derive(Clone, Debug)]
enum Op {
    Edit(usize, Vec<Part>),
    Call(usize, Kind),
    Progress(usize, Outcome),
    Hear(usize),
    Pass(u16),
    Cut(usize, usize),
    Overflow(usize),
    Stranger(Vec<Part>),
    Refuse(bool),
    Discard(usize),
}

/// A part of an edit: what it does, and to which cell, row, table or value.
#[derive(Clone, Copy, Debug)]
struct Part {
    kind: u8,
    table: u8,
    row: u8,
    cell: u8,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Load,
    Save,
    Flush,
    StartAutoLoad,
    StartAutoSave,
    StartAutoPersisting(bool),
    StopAutoLoad,
    StopAutoSave,
    StopAutoPersisting,
    Schedule,
    Destroy,
}

impl World {
    fn new(save_interval: Duration, takes_once: bool) -> Self {
        let mut place = Place::new(CLIENTS);
        place.takes_once = takes_once;
        Self {
            place,
            clients: (0..CLIENTS).map(|number| Client::new(number, save_interval)).collect(),
            written: 0,
            authors: HashMap::new(),
            last: vec![HashMap::new(); CLIENTS],
        }
    }

    fn step(&mut self, op: &Op) {
        match op {
            Op::Edit(client, parts) => self.edit(*client, parts),
            Op::Call(client, kind) => {
                self.call(*client, *kind);
            }
            Op::Progress(client, outcome) => {
                self.clients[*client].progress(&mut self.place, *outcome);
            }
            Op::Hear(client) => {
                self.clients[*client].hear(&mut self.place);
            }
            Op::Pass(millis) => self.pass(Duration::from_millis((*millis).into())),
            Op::Cut(client, kept) => self.place.cut(*client, *kept),
            Op::Overflow(client) => self.place.overflow(*client),
            Op::Stranger(parts) => {
                let changes = self.changes(parts);
                self.place.accept(None, &changes);
            }
            Op::Refuse(refuses) => self.place.refuses_values = *refuses,
            Op::Discard(client) => {
                self.clients[*client].discard(&mut self.place);
            }
        }
    }

    fn edit(&mut self, number: usize, parts: &[Part]) {
        let changes = self.changes(parts);
        let client = &mut self.clients[number];
        if client.ended {
            return;
        }
        let before: HashMap<_, _> = paths(&client.store).map(|path| split(&path)).collect();
        client.edit(&mut self.place, &changes);
        // The store may have applied other changes since. The values of this edit show what is left of it.
        let mut after = Content::new();
        after.apply(&changes);
        let after: HashMap<_, _> = paths(&after).map(|path| split(&path)).collect();
        for (path, value) in &after {
            self.authors.insert(*value, number);
            self.last[number].insert(path.clone(), Some(*value));
        }
        for path in before.keys().filter(|path| !after.contains_key(*path) && deletes(&changes, path)) {
            self.last[number].insert(path.clone(), None);
        }
    }

    fn call(&mut self, client: usize, kind: Kind) -> CallId {
        let call = match kind {
            Kind::Load => Call::Load { initial: None },
            Kind::Save => Call::Save,
            Kind::Flush => Call::Flush,
            Kind::StartAutoLoad => Call::StartAutoLoad { initial: None },
            Kind::StartAutoSave => Call::StartAutoSave,
            Kind::StartAutoPersisting(save_first) => Call::StartAutoPersisting { initial: None, save_first },
            Kind::StopAutoLoad => Call::StopAutoLoad,
            Kind::StopAutoSave => Call::StopAutoSave,
            Kind::StopAutoPersisting => Call::StopAutoPersisting,
            Kind::Schedule => Call::Schedule,
            Kind::Destroy => Call::Destroy { flush: true, deadline: Duration::from_secs(5) },
        };
        self.clients[client].call(&mut self.place, call)
    }

    fn pass(&mut self, time: Duration) {
        for client in &mut self.clients {
            client.pass(&mut self.place, time);
        }
    }

    /// Repairs the backend, and runs every operation in flight to its end.
    fn settle(&mut self) {
        self.place.refuses_values = false;
        for _ in 0..1000 {
            let mut moved = false;
            for client in &mut self.clients {
                moved |= client.progress(&mut self.place, Outcome::Done);
                moved |= client.hear(&mut self.place);
            }
            if !moved {
                // Longer than any delay, so every retry is due now.
                self.pass(Duration::from_secs(10));
                let quiet = self.clients.iter().all(|client| !client.is_busy());
                if quiet && self.clients.iter_mut().all(|client| !client.hear(&mut self.place)) {
                    return;
                }
            }
        }
        panic!("the clients never come to rest: {:#?}", self.clients);
    }

    fn changes(&mut self, parts: &[Part]) -> Changes {
        let mut changes = Changes::new();
        for Part { kind, table, row, cell } in parts {
            let (table, row, cell) = (format!("t{table}"), format!("r{row}"), format!("c{cell}"));
            self.written += 1;
            let value = Cell::from(self.written);
            match kind {
                0..4 => changes.set_cell(table, row, cell, value),
                4 => changes.del_cell(table, row, cell),
                5 => changes.del_row(table, row),
                6 => changes.del_table(table),
                7..9 => changes.set_value(cell, value),
                _ => changes.del_value(cell),
            }
        }
        changes
    }

    /// Ends a history: makes every client follow the backend, and waits until all do.
    fn finish(&mut self) {
        // An empty backend would be loaded again for ever.
        self.step(&Op::Stranger(vec![Part { kind: 7, table: 0, row: 0, cell: 9 }]));
        self.settle();
        for client in 0..CLIENTS {
            // A client that follows the backend already gets no load, which could hide an earlier mistake. It gets a
            // call, because a permanent failure may have halted it.
            let follows = self.clients[client].is_following();
            self.call(client, if follows { Kind::Flush } else { Kind::StartAutoPersisting(false) });
        }
        self.settle();
    }

    fn destroy(&mut self) {
        for client in 0..CLIENTS {
            self.call(client, Kind::Destroy);
        }
        self.settle();
    }
}

fn split(path: &str) -> (String, i32) {
    let (at, value) = path.split_once(" = ").expect("a path says what is there");
    (at.to_owned(), value.parse().expect("every value is a number"))
}

fn deletes(changes: &Changes, path: &str) -> bool {
    match path.split('/').collect::<Vec<_>>()[..] {
        [table, row, cell] => match changes.tables.get(table) {
            None => false,
            Some(None) => true,
            Some(Some(rows)) => match rows.get(row) {
                None => false,
                Some(None) => true,
                Some(Some(cells)) => cells.contains(cell),
            },
        },
        _ => changes.values.contains(path),
    }
}

fn parts() -> impl Strategy<Value = Vec<Part>> {
    let part =
        (0..11_u8, 0..2_u8, 0..2_u8, 0..2_u8).prop_map(|(kind, table, row, cell)| Part { kind, table, row, cell });
    prop::collection::vec(part, 1..4)
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        2 => Just(Kind::Load),
        2 => Just(Kind::Save),
        2 => Just(Kind::Flush),
        2 => Just(Kind::StartAutoLoad),
        2 => Just(Kind::StartAutoSave),
        6 => any::<bool>().prop_map(Kind::StartAutoPersisting),
        1 => Just(Kind::StopAutoLoad),
        1 => Just(Kind::StopAutoSave),
        1 => Just(Kind::StopAutoPersisting),
        1 => Just(Kind::Schedule),
    ]
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        4 => Just(Outcome::Reached),
        12 => Just(Outcome::Done),
        3 => Just(Outcome::Away),
        1 => Just(Outcome::Fails),
    ]
}

/// Operations after which clients still have their edits and live.
fn op() -> impl Strategy<Value = Op> {
    let client = || 0..CLIENTS;
    prop_oneof![
        10 => (client(), parts()).prop_map(|(client, parts)| Op::Edit(client, parts)),
        5 => (client(), kind()).prop_map(|(client, kind)| Op::Call(client, kind)),
        24 => (client(), outcome()).prop_map(|(client, outcome)| Op::Progress(client, outcome)),
        12 => client().prop_map(Op::Hear),
        6 => (0..4000_u16).prop_map(Op::Pass),
        2 => (client(), 0..3_usize).prop_map(|(client, kept)| Op::Cut(client, kept)),
        1 => client().prop_map(Op::Overflow),
        3 => parts().prop_map(Op::Stranger),
    ]
}

/// All operations, refusals, discards and ends of clients included.
fn any_op() -> impl Strategy<Value = Op> {
    let client = || 0..CLIENTS;
    prop_oneof![
        40 => op(),
        1 => any::<bool>().prop_map(Op::Refuse),
        1 => client().prop_map(Op::Discard),
        1 => client().prop_map(|client| Op::Call(client, Kind::Destroy)),
    ]
}

fn save_interval() -> impl Strategy<Value = Duration> {
    prop_oneof![Just(Duration::ZERO), Just(Duration::from_millis(500))]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2 * ProptestConfig::default().cases, ..ProptestConfig::default() })]

    #[test]
    fn r5_whoever_follows_the_place_ends_with_its_content(
        ops in prop::collection::vec(any_op(), 1..120),
        save_interval in save_interval(),
        takes_once: bool,
    ) {
        let mut world = World::new(save_interval, takes_once);
        ops.iter().for_each(|op| world.step(op));
        world.finish();
        for client in world.clients.iter().filter(|client| !client.ended) {
            prop_assert!(client.is_following());
            prop_assert_eq!(Some(&client.store), world.place.content.as_ref());
            prop_assert_eq!(client.replica.unconfirmed().len(), 0);
            prop_assert_eq!(client.status(), Status::Idle);
        }
        for client in &world.clients {
            let open: Vec<_> = client.answers.iter().filter(|(_, answer)| answer.is_none()).collect();
            prop_assert!(open.is_empty(), "never answered: {:?}", open);
        }
        world.destroy();
        for client in &world.clients {
            prop_assert!(client.ended && client.closed == 1);
            prop_assert!(client.answers.values().all(Option::is_some));
        }
    }

    #[test]
    fn r4_what_a_client_wrote_last_is_what_the_place_had_of_it_last(
        ops in prop::collection::vec(op(), 1..120),
        save_interval in save_interval(),
        takes_once: bool,
    ) {
        let mut world = World::new(save_interval, takes_once);
        ops.iter().for_each(|op| world.step(op));
        world.finish();
        for (number, last) in world.last.iter().enumerate() {
            for (path, value) in last.iter().filter_map(|(path, value)| Some((path, (*value)?))) {
                let accepted = world.place.accepted.contains(&format!("{path} = {value}"));
                prop_assert!(accepted, "client {} wrote {} to {}, which no place ever had", number, value, path);
            }
        }
        let content = world.place.content.clone().unwrap_or_default();
        for (path, value) in paths(&content).map(|path| split(&path)) {
            if let Some(author) = world.authors.get(&value) {
                prop_assert_eq!(
                    world.last[*author].get(&path), Some(&Some(value)),
                    "the place has at {} what client {} has written over", path, author
                );
            }
        }
    }
}
