//! What the outbox has to do with what is sent.

use std::time::Duration;

use roommate::{
    MOST_UNCONFIRMED, Status, Store,
    conformance::{Fault, Flaky, Gate, Op},
};

use crate::{
    places::{File, Room},
    world::{World, changes, content},
};

#[test]
fn r4_an_edit_is_sent_only_when_the_outbox_has_it() {
    let world = World::holding(&[("seed", 1)]);
    let (outbox, faults) = Flaky::new(File::default());
    let client = world.client_with(|builder| builder.with_outbox(outbox));
    world.clock.block_on(client.engine.start_auto_persisting(None)).unwrap();
    world.run();
    let gate = Gate::new();
    faults.next(Op::Save, Fault::Hold(gate.clone()));
    client.set("x", 1);
    world.run();
    assert!(gate.is_reached(), "the outbox is being written");
    assert_eq!(world.held(), content(&[("seed", 1)]));
    gate.open();
    world.run();
    assert_eq!(world.held(), content(&[("seed", 1), ("x", 1)]));
    assert_eq!(client.engine.unconfirmed(), []);
}

#[test]
fn an_interval_between_saves_holds_with_an_outbox_too() {
    let world = World::holding(&[("x", 0)]);
    let outbox = File::default();
    let client =
        world.client_with(|builder| builder.with_save_interval(Duration::from_secs(1)).with_outbox(outbox.clone()));
    world.clock.block_on(client.engine.start_auto_persisting(None)).unwrap();
    client.set("x", 1);
    world.run();
    assert_eq!(world.held(), content(&[("x", 1)]), "the first goes at once");
    for n in 2..10 {
        client.set("x", n);
        world.clock.pass(Duration::from_millis(100));
        let kept = outbox.content().unwrap().to_json();
        assert!(kept.contains(&format!(r#"\"x\":{n}"#)), "it is kept meanwhile: {kept}");
    }
    assert_eq!(client.engine.stats().saves, 1);
    world.clock.pass(Duration::from_secs(1));
    assert_eq!(client.engine.stats().saves, 2, "gathered into one");
    assert_eq!(world.held(), content(&[("x", 9)]));
    // Whoever asks for it does not wait for that.
    client.set("x", 10);
    world.clock.block_on(client.engine.flush()).unwrap();
    assert_eq!(world.held(), content(&[("x", 10)]));
}

#[test]
fn no_more_saves_are_left_unread_than_the_contract_says() {
    let world = World::new();
    let room = Room::holding(content(&[]));
    let client = world.client_of(&Store::new(), room.clone(), |builder| builder.with_outbox(File::default()));
    for n in 0..600 {
        client.set("x", n);
        world.run();
    }
    assert_eq!(client.engine.unconfirmed().len(), 600);
    let started = client.engine.start_auto_persisting(None);
    world.run();
    assert_eq!(room.open().len(), MOST_UNCONFIRMED);
    let mut confirmed = 0;
    while !room.open().is_empty() {
        room.confirm(0);
        confirmed += 1;
        world.run();
    }
    assert_eq!(confirmed, 600);
    world.clock.block_on(started).unwrap();
    assert_eq!(client.engine.unconfirmed(), []);
}

#[test]
fn r4_what_is_gathered_is_sent_only_when_the_outbox_has_all_of_it() {
    let world = World::holding(&[("x", 0)]);
    let (outbox, faults) = Flaky::new(File::default());
    let client = world.client_with(|builder| builder.with_save_interval(Duration::from_secs(1)).with_outbox(outbox));
    world.clock.block_on(client.engine.start_auto_persisting(None)).unwrap();
    client.set("x", 1);
    world.run();
    client.set("x", 2);
    world.run();
    let gate = Gate::new();
    faults.next(Op::Save, Fault::Hold(gate.clone()));
    client.set("x", 3);
    world.clock.pass(Duration::from_secs(2));
    assert!(gate.is_reached(), "the outbox has one edit of the two, and is being written");
    assert_eq!(world.held(), content(&[("x", 1)]));
    gate.open();
    world.run();
    assert_eq!(world.held(), content(&[("x", 3)]));
}

#[test]
fn r4_an_edit_made_as_a_first_save_begins_is_in_it_only_when_the_outbox_has_it() {
    let world = World::new();
    let room = Room::default();
    let client = world.client_of(&Store::new(), room.clone(), |builder| builder.with_outbox(File::default()));
    let store = client.store.clone();
    let _listener = client.engine.add_status_listener(move |status| {
        if *status == Status::Saving && !store.has_values() {
            store.set_value("late", 1).unwrap();
        }
    });
    world.clock.block_on(client.engine.start_auto_persisting(None)).unwrap();
    assert_eq!(room.content(), Some(content(&[])));
    world.run();
    assert_eq!(room.open(), [changes(&[("late", 1)])]);
    assert_eq!(room.saves(), [None, Some(1)]);
}

#[test]
fn what_gathered_in_an_outbox_while_nothing_could_be_saved_goes_without_a_pause() {
    let world = World::holding(&[("x", 0)]);
    let client =
        world.client_with(|builder| builder.with_save_interval(Duration::from_secs(5)).with_outbox(File::default()));
    world.clock.block_on(client.engine.start_auto_persisting(None)).unwrap();
    let gate = Gate::new();
    client.faults.next(Op::Save, Fault::Hold(gate.clone()));
    client.set("x", 1);
    world.clock.pass(Duration::from_secs(6));
    for n in 2..50 {
        client.set("x", n);
        world.run();
    }
    assert_eq!(client.engine.unconfirmed().len(), 49);
    gate.open();
    world.run();
    assert_eq!(world.held(), content(&[("x", 49)]));
    client.set("x", 50);
    world.run();
    assert_eq!(world.held(), content(&[("x", 49)]), "the interval is that to the next");
}
