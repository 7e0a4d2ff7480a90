//! Engines on a room in memory, whose network does what a test tells it.

use std::{thread, time::Duration};

use roommate::{Content, Engine, Store, block_on};
use roommate_partykit_proto::Side;
use roommate_partykit_sim::mock::{ClientId, MockRoom};

struct Peer {
    store: Store,
    engine: Engine,
    client: ClientId,
}

impl Peer {
    /// Joins; what is sent meanwhile is delivered at once.
    fn join(room: &MockRoom) -> Self {
        room.hold(false);
        let store = Store::new();
        let persister = room.persister();
        let client = persister.client();
        let engine = Engine::new(&store, persister);
        block_on(engine.start_auto_persisting(None)).unwrap();
        Self { store, engine, client }
    }
}

/// Delivers until everybody shows what the room holds and nothing is under way.
fn rest(room: &MockRoom, peers: &[&Peer]) -> Content {
    // Engines run on threads of their own.
    for _ in 0..6000 {
        room.deliver_all();
        let held = room.content().unwrap_or_default();
        let rests = |peer: &&Peer| peer.store.content() == held && peer.engine.unconfirmed().is_empty();
        if room.pending().is_empty() && peers.iter().all(rests) {
            return held;
        }
        thread::sleep(Duration::from_millis(5));
    }
    let stores: Vec<_> = peers.iter().map(|peer| (peer.store.content(), peer.engine.unconfirmed())).collect();
    panic!("the room holds {:?}, and they show {stores:?}", room.content());
}

/// Waits until something is on its way.
fn until_pending(room: &MockRoom) {
    for _ in 0..6000 {
        if !room.pending().is_empty() {
            return;
        }
        thread::sleep(Duration::from_millis(5));
    }
    panic!("nothing is sent");
}

#[test]
fn l18_r5_stores_that_write_one_cell_at_once_end_equal() {
    let room = MockRoom::default();
    let (a, b) = (Peer::join(&room), Peer::join(&room));
    room.hold(true);
    for round in 0..10 {
        a.store.set_cell("t", "r", "c", round * 2).unwrap();
        b.store.set_cell("t", "r", "c", round * 2 + 1).unwrap();
        b.store.set_value("b", round).unwrap();
        until_pending(&room);
        room.deliver_next();
    }
    let held = rest(&room, &[&a, &b]);
    assert!(held.cell("t", "r", "c").is_some());
}

#[test]
fn r4_edits_made_while_everything_is_cut_outlive_it() {
    let room = MockRoom::default();
    let (a, b) = (Peer::join(&room), Peer::join(&room));
    for side in [Side::Main, Side::Ear] {
        room.cut(a.client, side);
    }
    a.store.set_value("a", 1).unwrap();
    b.store.set_value("b", 1).unwrap();
    rest(&room, &[&b]);
    assert!(room.content().unwrap().values.get("a").is_none());
    for side in [Side::Ear, Side::Main] {
        room.open(a.client, side);
    }
    let held = rest(&room, &[&a, &b]);
    assert_eq!((&held.values["a"], &held.values["b"]), (&1.into(), &1.into()));
}

#[test]
fn l20_two_who_find_the_room_empty_at_once_share_one_content() {
    let room = MockRoom::default();
    let peers = [1, 2].map(|number| {
        let store = Store::new();
        store.set_value(format!("from {number}"), number).unwrap();
        store.set_value("both", number).unwrap();
        let persister = room.persister();
        let client = persister.client();
        Peer { engine: Engine::new(&store, persister), store, client }
    });
    let starts = peers.each_ref().map(|peer| peer.engine.start_auto_persisting(None));
    for _ in 0..200 {
        room.deliver_all();
        thread::sleep(Duration::from_millis(5));
        if peers.iter().all(|peer| peer.engine.is_auto_saving()) {
            break;
        }
    }
    room.hold(false);
    for start in starts {
        block_on(start).unwrap();
    }
    rest(&room, &[&peers[0], &peers[1]]);
}
