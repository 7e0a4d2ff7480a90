//! What the place answers to a save: confirmations and refusals, and who waits for them.

use roommate::{Certainty, Refused};

use crate::world::{World, changes, content};

#[test]
fn a_flush_ends_with_the_confirmation_and_not_before() {
    let (world, room, client) = World::with_room(&[]);
    client.set("x", 1);
    let flushed = client.engine.flush();
    world.run();
    assert_eq!(room.open().len(), 1);
    assert_eq!(client.engine.unconfirmed(), [changes(&[("x", 1)])]);
    // Edits made after the call are not waited for.
    client.set("y", 1);
    world.run();
    room.confirm(0);
    world.clock.block_on(flushed).unwrap();
    assert_eq!(client.engine.unconfirmed(), [changes(&[("y", 1)])]);
}

#[test]
fn a_flush_with_nothing_to_wait_for_ends_at_once() {
    let world = World::holding(&[("x", 1)]);
    let client = world.joined();
    world.clock.block_on(client.engine.flush()).unwrap();
    client.set("x", 2);
    world.run();
    world.clock.block_on(client.engine.flush()).unwrap();
    assert_eq!(client.engine.stats().saves, 1);
}

#[test]
fn r1_confirmations_may_come_in_another_order_than_saves() {
    let (world, room, client) = World::with_room(&[]);
    for n in 1..=3 {
        client.set("x", n);
        client.set(&format!("v{n}"), n);
        world.run();
    }
    for n in [2, 0, 1, 1, 0, 0] {
        room.others_write(changes(&[("theirs", n)]));
        if n < room.open().len() as i32 {
            room.confirm(n as usize);
        }
        world.run();
    }
    while !room.open().is_empty() {
        room.confirm(0);
    }
    world.run();
    assert!(client.engine.unconfirmed().is_empty());
    assert_eq!(Some(client.values()), room.content());
}

#[test]
fn a_refusal_is_told_and_the_store_shows_what_the_place_has() {
    let (world, room, client) = World::with_room(&[("x", 1)]);
    let told = std::sync::Arc::<std::sync::Mutex<Vec<Refused>>>::default();
    let listener = told.clone();
    let _subscription =
        client.engine.add_refused_listener(move |refused| listener.lock().unwrap().push(refused.clone()));
    let mut stream = client.engine.refusals();
    client.set("x", 2);
    let flushed = client.engine.flush();
    world.run();
    assert_eq!(client.values(), content(&[("x", 2)]));
    room.refuse(0);
    world.clock.block_on(flushed).unwrap();
    assert_eq!(client.values(), content(&[("x", 1)]));
    assert_eq!(told.lock().unwrap().len(), 1);
    assert_eq!(told.lock().unwrap()[0].changes, changes(&[("x", 2)]));
    let streamed = world.clock.block_on(futures_util::StreamExt::next(&mut stream)).unwrap();
    assert_eq!((streamed.changes, streamed.certainty), (changes(&[("x", 2)]), Certainty::Certain));
    assert_eq!(client.engine.stats().saves, 1, "what the place has is no edit");

    client.set("x", 3);
    world.run();
    room.lose(0);
    world.run();
    assert_eq!(client.values(), content(&[("x", 1)]));
    let streamed = world.clock.block_on(futures_util::StreamExt::next(&mut stream)).unwrap();
    assert_eq!((streamed.changes, streamed.certainty), (changes(&[("x", 3)]), Certainty::Presumed));
}

#[test]
fn discarding_ends_the_wait_of_a_flush_and_shows_what_is_confirmed() {
    let (world, room, client) = World::with_room(&[("x", 1)]);
    client.set("x", 2);
    let flushed = client.engine.flush();
    world.run();
    assert_eq!(client.engine.discard_unconfirmed().unwrap(), [changes(&[("x", 2)])]);
    assert_eq!(client.values(), content(&[("x", 1)]));
    world.clock.block_on(flushed).unwrap();
    room.confirm(0);
    world.run();
    assert_eq!(client.values(), content(&[("x", 2)]), "it was on its way, and was accepted after all");
}
