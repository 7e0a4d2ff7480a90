//! Saving and auto-save.

use std::time::Duration;

use roommate::{
    Cell, Changes, ErrorKind, Stats, Status, Store,
    conformance::{Fault, Gate, Op},
};

use crate::{
    places::{File, Variable},
    world::{World, changes, content},
};

#[test]
fn saves_and_counts_it() {
    let world = World::new();
    let client = world.client();
    client.set("x", 1);
    let (statuses, _subscription) = client.statuses();
    world.clock.block_on(client.engine.save()).unwrap();
    assert_eq!(world.held(), content(&[("x", 1)]));
    assert_eq!(client.engine.stats(), Stats { loads: 0, saves: 1 });
    assert_eq!(*statuses.lock().unwrap(), [Status::Saving, Status::Idle]);
}

#[test]
fn is_saving_while_a_save_runs() {
    let world = World::new();
    let client = world.client();
    let gate = Gate::new();
    client.faults.next(Op::Save, Fault::Hold(gate.clone()));
    let saved = client.engine.save();
    world.run();
    assert_eq!(client.engine.status(), Status::Saving);
    gate.open();
    world.clock.block_on(saved).unwrap();
    assert_eq!(client.engine.status(), Status::Idle);
}

#[test]
fn objects_arrays_and_null_come_back() {
    let world = World::new();
    let (a, b) = (world.client(), world.client());
    for (id, json) in [("object", r#"{"b":[1,{}],"a":null}"#), ("array", "[]"), ("null", "null")] {
        a.store
            .set_value(id, Cell::try_from(serde_json::from_str::<serde_json::Value>(json).unwrap()).unwrap())
            .unwrap();
    }
    world.clock.block_on(a.engine.save()).unwrap();
    world.clock.block_on(b.engine.load()).unwrap();
    assert_eq!(b.values(), a.values());
    assert_eq!(b.values().values.len(), 3);
}

#[test]
fn auto_save_saves_each_edit_as_changes() {
    let world = World::new();
    let variable = Variable::default();
    let client = world.client_of(&Store::new(), variable.clone(), |builder| builder);
    client.set("v", 0);
    world.clock.block_on(client.engine.start_auto_save()).unwrap();
    assert!(client.engine.is_auto_saving() && !client.engine.is_auto_loading());
    let mut expected = vec![None];
    let mut edit = |edit: &dyn Fn(&Store), net: &dyn Fn(&mut Changes)| {
        edit(&client.store);
        world.run();
        let mut changes = Changes::new();
        net(&mut changes);
        expected.push(Some(changes));
        assert_eq!(variable.content(), Some(client.values()));
    };
    edit(&|store| store.set_cell("t", "r", "c", 1).unwrap(), &|net| net.set_cell("t", "r", "c", 1.into()));
    edit(&|store| store.set_cell("t", "r", "d", 2).unwrap(), &|net| net.set_cell("t", "r", "d", 2.into()));
    edit(&|store| store.del_cell("t", "r", "d").unwrap(), &|net| net.del_cell("t", "r", "d"));
    edit(&|store| store.del_value("v").unwrap(), &|net| net.del_value("v"));
    assert_eq!(variable.saves().into_iter().map(|(_, changes)| changes).collect::<Vec<_>>(), expected);
    assert_eq!(client.engine.stats(), Stats { loads: 0, saves: 5 });
    world.clock.block_on(client.engine.stop_auto_save()).unwrap();
    client.set("v", 9);
    world.run();
    assert_eq!(client.engine.stats().saves, 5);
}

#[test]
fn a_transaction_that_changes_nothing_is_not_saved() {
    let world = World::holding(&[("x", 1)]);
    let client = world.joined();
    client.set("x", 1);
    client
        .store
        .transaction(|store| {
            store.set_value("x", 2)?;
            store.set_value("x", 1)
        })
        .unwrap();
    world.run();
    assert_eq!(client.engine.stats().saves, 0);
}

#[test]
fn roundtrip_of_a_file() {
    let world = World::new();
    let file = File::default();
    let client = world.client_of(&Store::new(), file.clone(), |builder| builder);
    world.clock.block_on(client.engine.start_auto_persisting(None)).unwrap();
    client.set("x", 1);
    client.store.set_cell("t", "r", "c", 1).unwrap();
    client.store.del_value("x").unwrap();
    world.run();
    let kept = client.values();
    assert_eq!(file.content(), Some(kept.clone()));
    world.clock.block_on(client.engine.stop_auto_persisting()).unwrap();
    client.store.del_tables().unwrap();
    world.run();
    assert_eq!(file.content(), Some(kept.clone()), "stopped");
    client.engine.discard_unconfirmed().unwrap();
    world.clock.block_on(client.engine.start_auto_load(None)).unwrap();
    assert_eq!(client.values(), kept);
}

#[test]
fn l3_an_edit_made_during_the_first_save_is_in_the_next() {
    let world = World::new();
    let client = world.client();
    let gate = Gate::new();
    client.faults.next(Op::Save, Fault::HoldAfter(gate.clone()));
    client.set("x", 1);
    let started = client.engine.start_auto_persisting(None);
    world.run();
    assert!(gate.is_reached());
    client.set("during", 2);
    gate.open();
    world.clock.block_on(started).unwrap();
    world.run();
    assert_eq!(world.held(), content(&[("x", 1), ("during", 2)]));
}

#[test]
fn l4_a_notice_that_comes_during_a_save_stops_no_edit_from_being_saved() {
    let world = World::new();
    let client = world.client();
    let gate = Gate::new();
    client.faults.next(Op::Save, Fault::HoldAfter(gate.clone()));
    let started = client.engine.start_auto_persisting(None);
    world.run();
    world.others_write(&[("theirs", 1)]);
    client.set("mine", 2);
    world.run();
    gate.open();
    world.clock.block_on(started).unwrap();
    world.run();
    assert_eq!(client.values(), content(&[("theirs", 1), ("mine", 2)]));
    assert_eq!(world.held(), client.values());
}

#[test]
fn edits_made_during_a_save_are_merged_into_the_next_and_a_transaction_stays_one() {
    let (world, room, client) = World::with_room(&[]);
    let gate = Gate::new();
    client.faults.next(Op::Save, Fault::Hold(gate.clone()));
    client.set("x", 1);
    world.run();
    for n in 2..10 {
        client
            .store
            .transaction(|store| {
                store.set_value("x", n)?;
                store.set_value("y", n)
            })
            .unwrap();
    }
    gate.open();
    world.run();
    assert_eq!(room.open(), [changes(&[("x", 1)]), changes(&[("x", 9), ("y", 9)])]);
}

#[test]
fn l5_what_listeners_derive_from_what_comes_in_is_saved() {
    let world = World::holding(&[("x", 1)]);
    let client = world.client();
    let _doubles = client.store.add_will_finish_transaction_listener(|event| {
        if let Some(Cell::Number(x)) = event.store.value("x") {
            event.store.set_value("doubled", x.get() * 2.0).unwrap();
        }
    });
    let _trebles = client.store.add_value_listener("x", |event| {
        let x = event.new.and_then(Cell::as_f64).unwrap_or_default();
        event.store.set_value("trebled", x * 3.0).unwrap();
    });
    world.clock.block_on(client.engine.start_auto_persisting(None)).unwrap();
    world.run();
    assert_eq!(world.held(), content(&[("x", 1), ("doubled", 2), ("trebled", 3)]));
    world.others_write(&[("x", 5)]);
    world.run();
    assert_eq!(world.held(), content(&[("x", 5), ("doubled", 10), ("trebled", 15)]));
    assert_eq!(client.values(), world.held());
}

#[test]
fn l8_edits_made_while_auto_save_was_off_are_saved_when_it_starts() {
    let world = World::holding(&[("x", 1)]);
    let client = world.joined();
    world.clock.block_on(client.engine.stop_auto_save()).unwrap();
    client.set("x", 2);
    client.store.set_cell("t", "r", "c", 1).unwrap();
    world.run();
    world.clock.block_on(client.engine.load()).unwrap();
    assert_eq!(client.engine.unconfirmed().len(), 1, "kept through a load");
    world.others_write(&[("y", 3)]);
    world.clock.block_on(client.engine.start_auto_save()).unwrap();
    world.run();
    assert_eq!(world.held(), client.values());
    assert_eq!(world.held().values, content(&[("x", 2), ("y", 3)]).values);
}

#[test]
fn l9_edits_of_an_offline_session_are_saved_when_the_place_is_back() {
    for save_first in [false, true] {
        let world = World::holding(&[("x", 1), ("y", 1)]);
        let client = world.client();
        for n in 1..=20 {
            client.faults.nth(Op::Watch, n, Fault::unavailable());
        }
        let started = match save_first {
            false => client.engine.start_auto_persisting(None),
            true => client.engine.start_auto_persisting_save_first(None),
        };
        world.clock.pass(Duration::from_secs(60));
        client.set("x", 2);
        client.store.set_cell("drafts", "one", "text", true).unwrap();
        world.clock.wait_for(started).unwrap();
        world.run();
        assert_eq!(world.held().values, content(&[("x", 2), ("y", 1)]).values);
        assert_eq!(world.held().tables.len(), 1);
        assert_eq!(client.values(), world.held());
    }
}

#[test]
fn saves_are_held_back_to_gather_edits() {
    let world = World::holding(&[("x", 0)]);
    let client = world.client_with(|builder| builder.with_save_interval(Duration::from_secs(1)));
    world.clock.block_on(client.engine.start_auto_persisting(None)).unwrap();
    client.set("x", 1);
    world.run();
    assert_eq!(world.held(), content(&[("x", 1)]), "the first goes at once");
    for n in 2..10 {
        client.set("x", n);
        world.clock.pass(Duration::from_millis(100));
    }
    assert_eq!(client.engine.stats().saves, 1);
    world.clock.pass(Duration::from_secs(1));
    assert_eq!(client.engine.stats().saves, 2);
    assert_eq!(world.held(), content(&[("x", 9)]));
    client.set("x", 10);
    world.clock.block_on(client.engine.flush()).unwrap();
    assert_eq!(world.held(), content(&[("x", 10)]), "a flush waits for no interval");
}

#[test]
fn l20_a_second_first_save_finds_what_the_place_holds_and_adopts_it() {
    let world = World::new();
    let (a, b) = (world.client(), world.client());
    a.set("owner", 1);
    b.set("owner", 2);
    b.set("only b", 2);
    // Both have found the place empty before either saves.
    let gate = Gate::new();
    b.faults.next(Op::Save, Fault::Hold(gate.clone()));
    let started = b.engine.start_auto_persisting(None);
    world.run();
    world.clock.block_on(a.engine.start_auto_persisting(None)).unwrap();
    b.set("edit", 3);
    gate.open();
    world.clock.block_on(started).unwrap();
    world.run();
    assert_eq!(world.held(), content(&[("owner", 1), ("edit", 3)]), "what was edited since is not lost");
    assert_eq!(a.values(), world.held());
    assert_eq!(b.values(), world.held());
}

#[test]
fn r5_joining_never_overwrites_a_place_that_exists() {
    for save_first in [false, true] {
        let world = World::holding(&[("x", 1)]);
        let client = world.client();
        client.set("x", 2);
        client.set("y", 2);
        let initial = Some(content(&[("z", 3)]));
        world
            .clock
            .block_on(match save_first {
                false => client.engine.start_auto_persisting(initial),
                true => client.engine.start_auto_persisting_save_first(initial),
            })
            .unwrap();
        assert_eq!(world.held(), content(&[("x", 1)]));
        assert_eq!(client.values(), world.held());
    }
}

#[test]
fn an_error_that_nobody_awaits_is_told() {
    let world = World::new();
    let client = world.client();
    client.faults.next(Op::Save, Fault::refused());
    drop(client.engine.save());
    world.run();
    assert_eq!(client.errors.kinds(), [ErrorKind::Refused]);
    client.faults.next(Op::Save, Fault::refused());
    assert_eq!(world.clock.block_on(client.engine.save()).unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(client.errors.kinds().len(), 1, "an error that is awaited is not told as well");
}
