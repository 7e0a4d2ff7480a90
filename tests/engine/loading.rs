//! Loading and auto-load.

use std::time::Duration;

use roommate::{
    Content, Error, ErrorKind, Notice, Stats, Status, Store,
    conformance::{Fault, Gate, Op},
};

use crate::{
    places::{File, Variable},
    world::{World, changes, content},
};

#[test]
fn loads_and_counts_it() {
    let world = World::holding(&[("x", 1)]);
    let client = world.client();
    let (statuses, _subscription) = client.statuses();
    world.clock.block_on(client.engine.load()).unwrap();
    assert_eq!(client.values(), content(&[("x", 1)]));
    assert_eq!(client.engine.stats(), Stats { loads: 1, saves: 0 });
    assert_eq!(*statuses.lock().unwrap(), [Status::Loading, Status::Idle]);
}

#[test]
fn is_loading_while_a_load_runs() {
    let world = World::holding(&[("x", 1)]);
    let client = world.client();
    let gate = Gate::new();
    client.faults.next(Op::Load, Fault::Hold(gate.clone()));
    assert_eq!(client.engine.status(), Status::Idle);
    let loaded = client.engine.load();
    world.run();
    assert_eq!(client.engine.status(), Status::Loading);
    gate.open();
    world.clock.block_on(loaded).unwrap();
    assert_eq!(client.engine.status(), Status::Idle);
}

#[test]
fn a_place_that_holds_nothing_leaves_the_store_as_it_is() {
    let world = World::new();
    let client = world.client();
    client.set("x", 1);
    world.clock.block_on(client.engine.load()).unwrap();
    assert_eq!(client.values(), content(&[("x", 1)]));
    assert_eq!(client.engine.stats().loads, 1);
    assert!(client.errors.kinds().is_empty());
}

#[test]
fn a_place_that_holds_an_empty_content_empties_the_store() {
    let world = World::new();
    world.place.apply_changes(&roommate::Changes::new());
    let client = world.client();
    client.set("x", 1);
    world.clock.block_on(client.engine.load_or(content(&[("y", 1)]))).unwrap();
    assert!(client.values().is_empty());
}

#[test]
fn sets_the_initial_content_where_the_place_holds_nothing() {
    let world = World::new();
    let client = world.client();
    world.clock.block_on(client.engine.load_or(content(&[("x", 1)]))).unwrap();
    assert_eq!(client.values(), content(&[("x", 1)]));
    assert_eq!(world.place.content(), None, "loading saves nothing");
    let other = World::holding(&[("x", 2)]);
    let client = other.client();
    other.clock.block_on(client.engine.start_auto_load(Some(content(&[("x", 1)])))).unwrap();
    assert_eq!(client.values(), content(&[("x", 2)]));
}

#[test]
fn l6_a_load_that_fails_for_a_lasting_cause_sets_no_initial_content_and_says_why() {
    let world = World::holding(&[("x", 1)]);
    let client = world.client();
    client.set("draft", 1);
    client.faults.next(Op::Load, Fault::Fail(Error::new(ErrorKind::Corrupt, "no content")));
    let error = world.clock.block_on(client.engine.start_auto_persisting(Some(content(&[("y", 1)])))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert_eq!(client.values(), content(&[("draft", 1)]));
    assert!(!client.engine.is_auto_loading() && !client.engine.is_auto_saving());
    assert_eq!(world.held(), content(&[("x", 1)]));
    assert_eq!(client.engine.status(), Status::Idle);
}

#[test]
fn l6_l16_a_load_that_fails_for_a_passing_cause_is_tried_again_and_sets_no_initial_content() {
    let world = World::holding(&[("x", 1)]);
    let client = world.client();
    for n in 1..=5 {
        client.faults.nth(Op::Load, n, Fault::unavailable());
    }
    let started = client.engine.start_auto_persisting(Some(content(&[("y", 1)])));
    world.clock.wait_for(started).unwrap();
    assert_eq!(client.values(), content(&[("x", 1)]));
    assert_eq!(client.errors.kinds(), [ErrorKind::Unavailable; 5], "each is told");
    assert_eq!(client.engine.stats(), Stats { loads: 6, saves: 0 });
}

#[test]
fn what_cannot_be_loaded_leaves_the_store_as_it_is() {
    let world = World::new();
    let file = File::default();
    file.others_write(Some(content(&[("x", 1)])));
    let client = world.client_of(&Store::new(), file.clone(), |builder| builder);
    world.clock.block_on(client.engine.start_auto_load(None)).unwrap();
    file.others_write(None);
    world.run();
    assert_eq!(client.values(), content(&[("x", 1)]), "the file is gone");
    client.faults.next(Op::Load, Fault::Fail(Error::new(ErrorKind::Corrupt, "no content")));
    file.others_write(Some(Content::new()));
    world.run();
    assert_eq!(client.values(), content(&[("x", 1)]), "the file is no content");
    assert_eq!(client.errors.kinds(), [ErrorKind::Corrupt]);
    file.others_write(Some(content(&[("x", 2)])));
    world.run();
    assert_eq!(client.values(), content(&[("x", 2)]), "it goes on");
}

#[test]
fn auto_load_follows_the_place_until_it_is_stopped() {
    let world = World::holding(&[("x", 1)]);
    let client = world.client();
    world.clock.block_on(client.engine.start_auto_load(None)).unwrap();
    assert!(client.engine.is_auto_loading() && !client.engine.is_auto_saving());
    for (n, loads) in [(2, 2), (3, 3)] {
        world.others_write(&[("x", n)]);
        world.run();
        assert_eq!(client.values(), content(&[("x", n)]));
        assert_eq!(client.engine.stats(), Stats { loads, saves: 0 });
    }
    world.clock.block_on(client.engine.stop_auto_load()).unwrap();
    assert!(!client.engine.is_auto_loading());
    world.others_write(&[("x", 4)]);
    world.run();
    assert_eq!(client.values(), content(&[("x", 3)]));
    assert_eq!(client.engine.stats().loads, 3);
    world.clock.block_on(client.engine.start_auto_load(None)).unwrap();
    assert_eq!(client.values(), content(&[("x", 4)]));
}

#[test]
fn auto_load_stops_at_once_while_its_first_load_runs() {
    let world = World::holding(&[("x", 1)]);
    let client = world.client();
    client.faults.next(Op::Load, Fault::Hold(Gate::new()));
    let started = client.engine.start_auto_load(None);
    world.run();
    world.clock.block_on(client.engine.stop_auto_load()).unwrap();
    assert_eq!(world.clock.block_on(started).unwrap_err().kind(), ErrorKind::Closed);
    assert!(client.values().is_empty());
    assert_eq!(client.engine.status(), Status::Idle);
    world.clock.block_on(client.engine.start_auto_load(None)).unwrap();
    assert_eq!(client.values(), content(&[("x", 1)]));
}

#[test]
fn a_place_that_cannot_be_watched_is_loaded_once() {
    let world = World::new();
    let variable = Variable::holding(content(&[("x", 1)]));
    let client = world.client_of(&Store::new(), variable, |builder| builder);
    world.clock.block_on(client.engine.start_auto_load(None)).unwrap();
    assert_eq!(client.values(), content(&[("x", 1)]));
    assert_eq!(client.faults.calls(Op::Watch), 0);
}

#[test]
fn l1_a_load_that_is_older_than_a_notice_does_not_undo_it() {
    let world = World::holding(&[("seed", 1)]);
    let client = world.joined();
    let gate = Gate::new();
    client.faults.next(Op::Load, Fault::HoldAfter(gate.clone()));
    let loaded = client.engine.load();
    world.run();
    assert!(gate.is_reached(), "the place has answered without what comes now");
    world.others_write(&[("precious", 1)]);
    world.run();
    gate.open();
    world.clock.block_on(loaded).unwrap();
    world.run();
    assert_eq!(client.values(), content(&[("seed", 1), ("precious", 1)]));
    assert_eq!(world.held(), client.values());
    assert_eq!(client.engine.stats().saves, 0, "nothing of it was taken for an edit");
}

#[test]
fn a_notice_during_the_first_load_of_auto_load_counts() {
    let world = World::holding(&[("x", 1)]);
    let client = world.client();
    let gate = Gate::new();
    client.faults.next(Op::Load, Fault::HoldAfter(gate.clone()));
    let started = client.engine.start_auto_load(None);
    world.run();
    world.others_write(&[("x", 2)]);
    gate.open();
    world.clock.block_on(started).unwrap();
    world.run();
    assert_eq!(client.values(), content(&[("x", 2)]));
    assert_eq!(client.engine.stats().loads, 2);
}

#[test]
fn l2a_an_edit_made_while_joining_outlives_the_load_and_is_saved() {
    let world = World::holding(&[("x", 1)]);
    let client = world.client();
    let gate = Gate::new();
    client.faults.next(Op::Load, Fault::HoldAfter(gate.clone()));
    let started = client.engine.start_auto_persisting(None);
    world.run();
    client.set("mine", 2);
    gate.open();
    world.clock.block_on(started).unwrap();
    world.run();
    assert_eq!(client.values(), content(&[("x", 1), ("mine", 2)]));
    assert_eq!(world.held(), client.values());
}

#[test]
fn l2b_an_edit_made_during_a_later_load_outlives_it_and_is_saved() {
    let world = World::holding(&[("x", 1)]);
    let client = world.joined();
    let gate = Gate::new();
    client.faults.next(Op::Load, Fault::HoldAfter(gate.clone()));
    let loaded = client.engine.load();
    world.run();
    client.set("x", 2);
    gate.open();
    world.clock.block_on(loaded).unwrap();
    world.run();
    assert_eq!(client.values(), content(&[("x", 2)]));
    assert_eq!(world.held(), client.values());
}

#[test]
fn l2c_an_edit_made_during_a_load_that_fails_is_saved() {
    let world = World::holding(&[("x", 1)]);
    let client = world.joined();
    let gate = Gate::new();
    client.faults.next(Op::Load, Fault::Hold(gate.clone()));
    client.faults.nth(Op::Load, 2, Fault::refused());
    let loads = (client.engine.load(), client.engine.load());
    world.run();
    client.set("x", 2);
    gate.open();
    world.clock.block_on(loads.0).unwrap();
    assert_eq!(world.clock.block_on(loads.1).unwrap_err().kind(), ErrorKind::Refused);
    world.run();
    assert_eq!(world.held(), content(&[("x", 2)]));
}

#[test]
fn l15_overlapping_loads_follow_each_other_and_an_edit_outlives_them_all() {
    let world = World::holding(&[("x", 1)]);
    let client = world.joined();
    let (statuses, _subscription) = client.statuses();
    let gate = Gate::new();
    client.faults.nth(Op::Load, 3, Fault::HoldAfter(gate.clone()));
    let loads = [client.engine.load(), client.engine.load(), client.engine.load()];
    world.run();
    assert_eq!(client.engine.status(), Status::Loading, "the third runs");
    client.set("x", 2);
    gate.open();
    for loaded in loads {
        world.clock.block_on(loaded).unwrap();
    }
    world.run();
    assert_eq!(client.values(), content(&[("x", 2)]));
    assert_eq!(world.held(), client.values());
    assert!(statuses.lock().unwrap().chunks(2).all(|pair| pair[1] == Status::Idle));
}

#[test]
fn many_notices_that_tell_nothing_become_one_load() {
    let world = World::new();
    let file = File::default();
    file.others_write(Some(content(&[("x", 1)])));
    let client = world.client_of(&Store::new(), file.clone(), |builder| builder);
    world.clock.block_on(client.engine.start_auto_load(None)).unwrap();
    let gate = Gate::new();
    client.faults.next(Op::Save, Fault::Hold(gate.clone()));
    let saved = client.engine.save();
    world.run();
    for _ in 0..3 {
        client.faults.tell(Ok(Notice::Stale));
    }
    world.run();
    assert_eq!(client.engine.stats().loads, 1, "not while the save runs");
    gate.open();
    world.clock.block_on(saved).unwrap();
    world.run();
    assert!(client.engine.stats().loads <= 4);
    assert_eq!(client.values(), content(&[("x", 1)]));
}

#[test]
fn a_viewer_of_an_empty_place_sees_all_of_what_somebody_puts_there() {
    let world = World::new();
    let viewer = world.client();
    world.clock.block_on(viewer.engine.start_auto_load(None)).unwrap();
    // Nobody tells of the first content of a stock room: the viewer has to ask.
    let silent = crate::places::Room::default();
    let other = world.client_of(&Store::new(), silent.clone(), |builder| builder);
    world.clock.block_on(other.engine.start_auto_load(None)).unwrap();
    silent.others_write(changes(&[("x", 1)]));
    world.others_write(&[("x", 1)]);
    world.clock.pass(Duration::from_secs(6));
    assert_eq!(viewer.values(), content(&[("x", 1)]));
    assert_eq!(other.values(), content(&[("x", 1)]));
}
