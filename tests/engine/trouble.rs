//! What goes wrong, and what becomes of it.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use proptest::prelude::*;
use roommate::{
    Error, ErrorKind, Notice, Status, Store,
    conformance::{Fault, Gate, Op},
};

use crate::{
    places::{File, Room},
    world::{Client, World, changes, content},
};

#[test]
fn l16_a_save_that_fails_for_a_passing_cause_is_tried_again_with_longer_and_longer_waits() {
    let world = World::holding(&[("x", 0)]);
    let (min, max) = (Duration::from_millis(100), Duration::from_secs(10));
    let client = world.client_with(|builder| builder.with_retry_delays(min, max));
    world.clock.block_on(client.engine.start_auto_persisting(None)).unwrap();
    for n in 1..=12 {
        client.faults.nth(Op::Save, n, Fault::unavailable());
    }
    client.set("x", 1);
    world.run();
    let mut waits = Vec::new();
    while world.held() != content(&[("x", 1)]) {
        let (calls, before) = (client.faults.calls(Op::Save), world.clock.now());
        while client.faults.calls(Op::Save) == calls {
            world.clock.pass(Duration::from_millis(1));
        }
        waits.push(world.clock.now() - before);
    }
    assert_eq!(waits.len(), 12);
    for (n, wait) in waits.iter().enumerate() {
        let full = (min * 2_u32.pow(n as u32)).min(max);
        assert!(*wait <= full + Duration::from_millis(1) && *wait >= full / 2, "wait {n} is {wait:?} of {full:?}");
    }
    assert_eq!(client.errors.kinds(), [ErrorKind::Unavailable; 12]);
    assert!(client.engine.unconfirmed().is_empty());
}

#[test]
fn a_lasting_failure_of_auto_save_is_told_and_not_repeated_until_somebody_calls() {
    let world = World::holding(&[("x", 0)]);
    let client = world.joined();
    client.faults.next(Op::Save, Fault::refused());
    client.set("x", 1);
    world.clock.pass(Duration::from_secs(3600));
    assert_eq!(client.errors.kinds(), [ErrorKind::Refused]);
    assert_eq!(client.faults.calls(Op::Save), 1);
    assert_eq!(client.engine.unconfirmed(), [changes(&[("x", 1)])], "kept");
    world.clock.block_on(client.engine.flush()).unwrap();
    assert_eq!(world.held(), content(&[("x", 1)]));
}

#[test]
fn a_lasting_failure_ends_when_the_place_is_heard_of() {
    let world = World::holding(&[("x", 0)]);
    let client = world.joined();
    client.faults.next(Op::Save, Fault::refused());
    client.set("x", 1);
    world.run();
    world.others_write(&[("y", 1)]);
    world.run();
    assert_eq!(world.held(), content(&[("x", 1), ("y", 1)]));
}

#[test]
fn a_lasting_failure_of_auto_save_is_the_answer_of_a_flush_that_waits() {
    let (world, _room, client) = World::with_room(&[]);
    client.set("x", 1);
    let flushed = client.engine.flush();
    world.run();
    client.faults.next(Op::Watch, Fault::refused());
    client.faults.end_stream();
    assert_eq!(world.clock.wait_for(flushed).unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(client.engine.unconfirmed(), [changes(&[("x", 1)])]);
}

#[test]
fn a_stream_that_ends_is_opened_again_and_nothing_is_missed() {
    let world = World::holding(&[("x", 0)]);
    let client = world.joined();
    client.faults.next(Op::Watch, Fault::unavailable());
    client.faults.end_stream();
    world.run();
    world.others_write(&[("x", 1), ("y", 1)]);
    client.set("mine", 1);
    world.clock.pass(Duration::from_secs(10));
    assert_eq!(client.values(), content(&[("x", 1), ("y", 1), ("mine", 1)]));
    assert_eq!(world.held(), client.values());
    assert_eq!(client.faults.calls(Op::Watch), 3);
}

#[test]
fn an_error_in_the_stream_is_told_and_ends_nothing() {
    let world = World::holding(&[("x", 0)]);
    let client = world.joined();
    client.faults.tell(Err(Error::new(ErrorKind::Corrupt, "no message")));
    world.others_write(&[("x", 1)]);
    world.run();
    assert_eq!(client.errors.kinds(), [ErrorKind::Corrupt]);
    assert_eq!(client.values(), content(&[("x", 1)]));
    assert_eq!(client.faults.calls(Op::Watch), 1);
}

#[test]
fn a_persister_that_panics_has_failed_and_the_engine_lives() {
    let world = World::holding(&[("x", 0)]);
    let client = world.client();
    for (op, nth) in [(Op::Watch, 1), (Op::Load, 1), (Op::Save, 1)] {
        client.faults.nth(op, nth, Fault::Panic);
    }
    for _ in 0..2 {
        let error = world.clock.block_on(client.engine.start_auto_persisting(None)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Callback);
        assert_eq!(client.engine.status(), Status::Idle);
    }
    world.clock.block_on(client.engine.start_auto_persisting(None)).unwrap();
    client.set("x", 1);
    world.run();
    assert_eq!(client.errors.kinds(), [ErrorKind::Callback]);
    world.clock.block_on(client.engine.save()).unwrap();
    assert_eq!(world.held(), content(&[("x", 1)]));
}

#[test]
fn a_callback_that_panics_ends_nothing() {
    let world = World::holding(&[("x", 0)]);
    static HEARD: AtomicU32 = AtomicU32::new(0);
    let client = world.client_with(|builder| {
        builder.with_on_ignored_error(|_| {
            HEARD.fetch_add(1, Ordering::Relaxed);
            panic!("on purpose");
        })
    });
    let _status = client.engine.add_status_listener(|_| panic!("on purpose"));
    let _refused = client.engine.add_refused_listener(|_| panic!("on purpose"));
    world.clock.block_on(client.engine.start_auto_persisting(None)).unwrap();
    client.set("x", 1);
    world.run();
    assert_eq!(world.held(), content(&[("x", 1)]));
    assert_eq!(client.engine.status(), Status::Idle);
    assert!(HEARD.load(Ordering::Relaxed) > 0);
    world.clock.block_on(client.engine.destroy());
}

#[test]
fn r2_a_listener_that_panics_does_not_undo_what_the_place_refused() {
    let (world, room, client) = World::with_room(&[("x", 1)]);
    client.set("x", 2);
    world.run();
    let _panics = client.store.add_values_listener(|_| panic!("on purpose"));
    let mut refusals = client.engine.refusals();
    room.refuse(0);
    world.run();
    assert_eq!(client.values(), content(&[("x", 1)]));
    assert_eq!(
        world.clock.block_on(futures_util::StreamExt::next(&mut refusals)).unwrap().changes,
        changes(&[("x", 2)])
    );
}

#[test]
fn stopping_auto_save_while_its_first_save_runs_keeps_what_the_save_had() {
    let world = World::holding(&[("y", 1)]);
    let client = world.client();
    world.clock.block_on(client.engine.load()).unwrap();
    client.set("x", 1);
    client.faults.next(Op::Save, Fault::Hold(Gate::new()));
    let started = client.engine.start_auto_save();
    world.run();
    world.clock.block_on(client.engine.stop_auto_save()).unwrap();
    assert_eq!(world.clock.block_on(started).unwrap_err().kind(), ErrorKind::Closed);
    assert!(!client.faults.is_under_way(Op::Save));
    assert_eq!(client.engine.unconfirmed(), [changes(&[("x", 1)])]);
    world.clock.block_on(client.engine.start_auto_save()).unwrap();
    world.run();
    assert_eq!(world.held(), content(&[("x", 1), ("y", 1)]));
}

/// What a random story does next.
#[derive(Clone, Debug)]
enum Step {
    Edit(u8, i32),
    Others(u8, i32),
    Fault(Op, u64, u8),
    OpenGates,
    EndStream,
    Load,
    Save,
    Restart,
    Pass(u16),
}

fn step() -> impl Strategy<Value = Step> {
    let op = prop_oneof![Just(Op::Load), Just(Op::Save), Just(Op::Watch)];
    prop_oneof![
        6 => (0..4_u8, 0..9).prop_map(|(id, to)| Step::Edit(id, to)),
        3 => (0..4_u8, 0..9).prop_map(|(id, to)| Step::Others(id, to)),
        4 => (op, 1..4_u64, 0..5_u8).prop_map(|(op, nth, fault)| Step::Fault(op, nth, fault)),
        3 => Just(Step::OpenGates),
        1 => Just(Step::EndStream),
        1 => Just(Step::Load),
        1 => Just(Step::Save),
        1 => Just(Step::Restart),
        3 => (0..3000_u16).prop_map(Step::Pass),
    ]
}

/// Puts a client through the steps, and then lets it come to rest, auto-persisting. `others` write to its place.
///
/// `Flaky` panics when a load and a save overlap, and that would be told as an error of kind `Callback`.
fn live_through(world: &World, client: &Client, steps: Vec<Step>, others: impl Fn(&str, i32)) {
    drop(client.engine.start_auto_persisting(None));
    let mut gates = Vec::new();
    for step in steps {
        match step {
            Step::Edit(id, to) => client.set(&format!("v{id}"), to),
            Step::Others(id, to) => others(&format!("v{id}"), to),
            Step::Fault(op, nth, fault) => {
                let gate = Gate::new();
                gates.push(gate.clone());
                let fault = match fault {
                    0 => Fault::unavailable(),
                    1 => Fault::refused(),
                    2 => Fault::FailAfter(Error::new(ErrorKind::Unavailable, "lost on its way")),
                    3 => Fault::Hold(gate),
                    _ => Fault::HoldAfter(gate),
                };
                client.faults.nth(op, nth, fault);
            }
            Step::OpenGates => gates.drain(..).for_each(|gate| gate.open()),
            Step::EndStream => client.faults.end_stream(),
            Step::Load => drop(client.engine.load()),
            Step::Save => drop(client.engine.save()),
            Step::Restart => {
                drop(client.engine.stop_auto_persisting());
                drop(client.engine.start_auto_persisting(None));
            }
            Step::Pass(millis) => world.clock.pass(Duration::from_millis(millis.into())),
        }
        world.run();
    }
    gates.into_iter().for_each(|gate| gate.open());
    client.faults.clear();
    world.clock.pass(Duration::from_secs(120));
    world.clock.wait_for(client.engine.start_auto_persisting(None)).unwrap();
    world.clock.wait_for(client.engine.flush()).unwrap();
    world.run();
    assert!(!client.errors.kinds().contains(&ErrorKind::Callback), "{:?}", client.errors);
    assert!(client.engine.unconfirmed().is_empty());
    assert_eq!(client.engine.status(), Status::Idle);
}

proptest! {
    #[test]
    fn r5_whatever_goes_wrong_on_the_way_to_a_room_the_end_is_equal(steps in prop::collection::vec(step(), 1..60)) {
        let world = World::holding(&[("v0", -1)]);
        let (client, other) = (world.client(), world.joined());
        live_through(&world, &client, steps, |id, to| other.set(id, to));
        prop_assert_eq!(client.values(), world.held());
        prop_assert_eq!(other.values(), world.held());
    }

    #[test]
    fn r5_whatever_goes_wrong_on_the_way_to_a_file_the_end_is_equal(steps in prop::collection::vec(step(), 1..60)) {
        let world = World::new();
        let file = File::default();
        let client = world.client_of(&Store::new(), file.clone(), |builder| builder);
        live_through(&world, &client, steps, |id, to| {
            let mut content = file.content().unwrap_or_default();
            content.apply(&changes(&[(id, to)]));
            file.others_write(Some(content));
        });
        prop_assert_eq!(Some(client.values()), file.content());
    }
}

#[test]
fn what_is_edited_with_auto_save_off_is_not_saved_because_an_older_save_lost_its_receipt() {
    let world = World::new();
    let room = Room::holding(content(&[]));
    let client = world.client_of(&Store::new(), room.clone(), |builder| builder);
    world.clock.block_on(client.engine.start_auto_load(None)).unwrap();
    client.set("x", 1);
    world.clock.block_on(client.engine.save()).unwrap();
    assert_eq!(room.open(), [changes(&[("x", 1)])]);
    client.set("y", 1);
    client.faults.end_stream();
    world.clock.pass(Duration::from_secs(60));
    assert_eq!(room.open(), [changes(&[("x", 1)]), changes(&[("x", 1)])], "again, and nothing else");
    assert_eq!(client.engine.unconfirmed(), [changes(&[("x", 1)]), changes(&[("y", 1)])]);
}

#[test]
fn r7_a_whole_content_names_the_last_edit_that_it_has() {
    let (world, room, client) = World::with_room(&[("made", 1)]);
    client.set("x", 1);
    world.run();
    assert_eq!(room.saves(), [Some(1)], "the edit is on its way");
    // The room is made anew without what it held, as by a server whose rooms are in memory.
    room.empty();
    world.run();
    assert_eq!(room.content(), Some(content(&[("made", 1), ("x", 1)])));
    assert_eq!(room.saves(), [Some(1), Some(1)]);
}

#[test]
fn r4_a_client_that_only_saves_makes_a_room_again_that_lost_what_it_had_sent() {
    for flushes in [true, false] {
        let world = World::new();
        let room = Room::holding(content(&[("made", 1)]));
        let client = world.client_of(&Store::new(), room.clone(), |builder| builder);
        world.clock.block_on(client.engine.start_auto_save()).unwrap();
        client.set("x", 1);
        world.run();
        assert_eq!(room.open(), [changes(&[("x", 1)])]);
        if flushes {
            world.clock.block_on(client.engine.stop_auto_save()).unwrap();
            drop(client.engine.flush());
        }
        room.empty();
        world.run();
        assert_eq!(room.content(), Some(content(&[("made", 1), ("x", 1)])));
    }
}

#[test]
fn a_client_that_only_saves_follows_nothing_because_it_looked() {
    let world = World::new();
    let room = Room::holding(content(&[("made", 1)]));
    let client = world.client_of(&Store::new(), room.clone(), |builder| builder);
    world.clock.block_on(client.engine.start_auto_save()).unwrap();
    client.set("x", 1);
    world.run();
    room.others_write(changes(&[("made", 2)]));
    client.faults.tell(Ok(Notice::Stale));
    world.run();
    assert_eq!(client.values(), content(&[("made", 1), ("x", 1)]));
}
