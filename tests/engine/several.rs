//! Several engines: on one place, and several places on one store.

use roommate::{Memory, Stats, Store};

use crate::{
    places::File,
    world::{World, content},
};

#[test]
fn what_one_writes_the_other_shows() {
    let world = World::new();
    let (a, b) = (world.joined(), world.joined());
    a.set("x", 1);
    a.store.set_cell("t", "r", "c", 1).unwrap();
    world.run();
    assert_eq!(b.values(), a.values());
    b.store.del_table("t").unwrap();
    b.set("x", 2);
    world.run();
    assert_eq!(a.values(), content(&[("x", 2)]));
    assert_eq!(world.held(), a.values());
    assert_eq!(b.engine.stats().saves, 1, "its own two, as one: what came in is not saved again");
}

#[test]
fn r5_two_that_write_the_same_at_the_same_moment_end_equal() {
    let world = World::new();
    let (a, b) = (world.joined(), world.joined());
    for n in 0..20 {
        a.set("x", 2 * n);
        b.set("x", 2 * n + 1);
        world.run();
        assert_eq!(a.values(), b.values());
        assert_eq!(a.values(), world.held());
    }
}

#[test]
fn two_places_on_one_store_feed_each_other_and_never_themselves() {
    let world = World::new();
    let (here, there) = (Memory::new(), Memory::new());
    let store = Store::new();
    let a = world.client_of(&store, here.client(), |builder| builder);
    let b = world.client_of(&store, there.client(), |builder| builder);
    store.set_value("x", 0).unwrap();
    world.clock.block_on(a.engine.start_auto_persisting(None)).unwrap();
    world.clock.block_on(b.engine.start_auto_persisting(None)).unwrap();
    let stats = (a.engine.stats(), b.engine.stats());
    let mut other = roommate::Changes::new();
    other.set_value("x", 1.into());
    here.apply_changes(&other);
    world.run();
    assert_eq!(store.content(), content(&[("x", 1)]));
    assert_eq!(there.content(), Some(content(&[("x", 1)])));
    let expected = (Stats { loads: stats.0.loads + 1, ..stats.0 }, Stats { saves: stats.1.saves + 1, ..stats.1 });
    assert_eq!((a.engine.stats(), b.engine.stats()), expected, "once there, and not back");
    store.set_value("y", 2).unwrap();
    world.run();
    assert_eq!(here.content(), Some(store.content()));
    assert_eq!(there.content(), Some(store.content()));
}

#[test]
fn l9_a_file_keeps_what_was_edited_before_the_room_could_be_reached() {
    let world = World::holding(&[("x", 1)]);
    let file = File::default();
    let store = Store::new();
    let local = world.client_of(&store, file.clone(), |builder| builder);
    world.clock.block_on(local.engine.start_auto_persisting(None)).unwrap();
    let room = world.client_of(&store, world.place.client(), |builder| builder);
    for n in 1..10 {
        room.faults.nth(roommate::conformance::Op::Watch, n, roommate::conformance::Fault::unavailable());
    }
    let started = room.engine.start_auto_persisting(None);
    store.set_value("draft", 2).unwrap();
    world.run();
    assert_eq!(file.content(), Some(content(&[("draft", 2)])));
    world.clock.wait_for(started).unwrap();
    world.run();
    assert_eq!(world.held(), content(&[("x", 1), ("draft", 2)]));
    assert_eq!(store.content(), world.held());
    assert_eq!(file.content(), Some(world.held()));
}

#[test]
fn two_rooms_that_two_stores_connect_end_equal_and_come_to_rest() {
    let world = World::new();
    let (here, there) = (Memory::new(), Memory::new());
    let stores = [Store::new(), Store::new()];
    let clients: Vec<_> = stores
        .iter()
        .flat_map(|store| [&here, &there].map(|place| world.client_of(store, place.client(), |builder| builder)))
        .collect();
    for client in &clients {
        world.clock.block_on(client.engine.start_auto_persisting(None)).unwrap();
    }
    for n in 0..10 {
        // A circle of two rooms and two stores: what comes round has to end somewhere. Running at all shows that it does.
        stores[0].set_value("x", n).unwrap();
        world.run();
        stores[1].set_value("y", n).unwrap();
        world.run();
    }
    assert_eq!(here.content(), there.content());
    assert!(stores.iter().all(|store| Some(store.content()) == here.content()));
}
