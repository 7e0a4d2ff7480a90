//! Races that could lose an edit, each as the story of who would have lost what.

use std::{
    sync::{Arc, Mutex},
    task::{Context, Wake},
    time::Duration,
};

use futures_util::FutureExt;
use roommate::{
    ErrorKind,
    conformance::{Fault, Faults, Gate, Op},
};

use crate::world::{World, changes, content};

#[test]
fn r4_an_edit_made_right_after_the_first_call_is_an_edit() {
    let world = World::holding(&[("x", 1)]);
    let client = world.client();
    let started = client.engine.start_auto_persisting(None);
    // The engine's task has not run yet.
    client.set("x", 2);
    world.clock.block_on(started).unwrap();
    assert_eq!(client.values(), content(&[("x", 2)]));
    world.run();
    assert_eq!(world.held(), content(&[("x", 2)]));
}

#[test]
fn r4_taking_an_edit_back_takes_it_back_from_a_place_that_accepted_it_before_the_stream_ended() {
    let world = World::holding(&[("y", 1)]);
    let client = world.joined();
    let gate = Gate::new();
    client.faults.next(Op::Save, Fault::HoldAfter(gate.clone()));
    client.set("x", 5);
    world.run();
    assert_eq!(world.held(), content(&[("y", 1), ("x", 5)]), "the place has it, and nobody knows");
    client.faults.end_stream();
    gate.open();
    world.run();
    client.store.del_value("x").unwrap();
    world.clock.pass(Duration::from_secs(60));
    assert_eq!(client.values(), content(&[("y", 1)]));
    assert_eq!(world.held(), content(&[("y", 1)]));
}

#[test]
fn r4_taking_an_edit_back_takes_it_back_from_a_place_whose_answer_was_lost() {
    let world = World::holding(&[("y", 1)]);
    let client = world.joined();
    client.faults.next(Op::Save, Fault::FailAfter(roommate::Error::new(ErrorKind::Unavailable, "lost on its way")));
    client.set("x", 5);
    world.run();
    client.store.del_value("x").unwrap();
    world.clock.pass(Duration::from_secs(60));
    assert_eq!(client.values(), content(&[("y", 1)]));
    assert_eq!(world.held(), content(&[("y", 1)]));
}

#[test]
fn r5_discarding_an_edit_whose_save_failed_shows_what_the_place_made_of_it() {
    let world = World::holding(&[("x", 1)]);
    let client = world.joined();
    client.faults.next(Op::Save, Fault::FailAfter(roommate::Error::new(ErrorKind::Unavailable, "lost on its way")));
    client.set("x", 5);
    world.run();
    assert_eq!(client.engine.discard_unconfirmed().unwrap(), [changes(&[("x", 5)])]);
    world.clock.pass(Duration::from_secs(60));
    assert_eq!(client.values(), world.held());
}

#[test]
fn a_flush_saves_again_what_the_end_of_the_stream_left_unconfirmed() {
    let world = World::holding(&[("x", 1)]);
    let client = world.client();
    world.clock.block_on(client.engine.load()).unwrap();
    client.set("x", 2);
    let gate = Gate::new();
    client.faults.next(Op::Save, Fault::HoldAfter(gate.clone()));
    let flushed = client.engine.flush();
    world.run();
    client.faults.end_stream();
    gate.open();
    world.clock.wait_for(flushed).unwrap();
    assert!(client.engine.unconfirmed().is_empty());
    assert_eq!(world.held(), content(&[("x", 2)]));
}

#[test]
fn r4_a_save_that_lost_its_stream_is_made_again_without_auto_save() {
    let world = World::holding(&[("x", 1)]);
    let client = world.client();
    world.clock.block_on(client.engine.load()).unwrap();
    client.set("x", 2);
    let gate = Gate::new();
    client.faults.next(Op::Save, Fault::HoldAfter(gate.clone()));
    let saved = client.engine.save();
    world.run();
    client.faults.end_stream();
    gate.open();
    world.clock.block_on(saved).unwrap();
    world.clock.pass(Duration::from_secs(60));
    assert!(client.engine.unconfirmed().is_empty());
    assert_eq!(client.faults.calls(Op::Save), 2, "lost, confirmed");
}

#[test]
fn an_engine_whose_runtime_was_shut_down_answers_that_it_is_closed() {
    let world = World::new();
    let client = world.client();
    client.faults.next(Op::Load, Fault::Hold(Gate::new()));
    let loaded = client.engine.load();
    world.run();
    let waiting = client.engine.save();
    world.clock.shut_down();
    assert_eq!(world.clock.block_on(loaded).unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(world.clock.block_on(waiting).unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(world.clock.block_on(client.engine.load()).unwrap_err().kind(), ErrorKind::Closed);
    assert!(world.clock.block_on(client.engine.destroy()).is_empty());
}

#[test]
fn what_was_under_way_is_dropped_before_anybody_is_told_that_the_runtime_ended() {
    /// Whoever is told may go on with another engine on the same place.
    struct Told(Faults, Mutex<Vec<bool>>);

    impl Wake for Told {
        fn wake(self: Arc<Self>) {
            self.1.lock().unwrap().push(self.0.is_under_way(Op::Save));
        }
    }

    let world = World::new();
    let client = world.client();
    client.faults.next(Op::Save, Fault::HoldAfter(Gate::new()));
    let mut saved = client.engine.save();
    world.run();
    assert!(client.faults.is_under_way(Op::Save));
    let told = Arc::new(Told(client.faults.clone(), Mutex::default()));
    assert!(saved.poll_unpin(&mut Context::from_waker(&told.clone().into())).is_pending());
    world.clock.shut_down();
    assert_eq!(*told.1.lock().unwrap(), [false]);
    assert_eq!(world.clock.block_on(saved).unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn dropping_the_last_engine_lets_the_persister_close_in_its_own_time() {
    let world = World::holding(&[("x", 1)]);
    let client = world.joined();
    let gate = Gate::new();
    client.faults.next(Op::Close, Fault::Hold(gate.clone()));
    let faults = client.faults.clone();
    drop(client);
    world.run();
    world.clock.pass(Duration::from_millis(1));
    assert!(gate.is_reached());
    assert!(faults.is_under_way(Op::Close), "it was not dropped");
    gate.open();
    world.run();
    assert!(!faults.is_under_way(Op::Close));
    assert_eq!(faults.calls(Op::Close), 1);
}

#[test]
fn an_engine_with_too_many_calls_waiting_can_be_destroyed_all_the_same() {
    let world = World::holding(&[("x", 1)]);
    let client = world.client();
    let calls: Vec<_> = (0..5000).map(|_| client.engine.load()).collect();
    let last = calls.into_iter().last().unwrap();
    assert_eq!(world.clock.block_on(last).unwrap_err().kind(), ErrorKind::Invalid);
    for _ in 0..5000 {
        drop(client.engine.load());
    }
    world.clock.block_on(client.engine.destroy());
    assert_eq!(client.faults.calls(Op::Close), 1);
}

#[test]
fn a_listener_that_panics_on_what_comes_in_is_told_of_and_harms_nobody() {
    let world = World::holding(&[("x", 1)]);
    let client = world.joined();
    let _panics = client.store.add_value_listener("x", |_| panic!("on purpose"));
    let _will_finish = client.store.add_will_finish_transaction_listener(|_| panic!("on purpose"));
    world.others_write(&[("x", 2)]);
    world.run();
    assert_eq!(client.values(), content(&[("x", 2)]));
    assert!(client.errors.kinds().contains(&ErrorKind::Callback), "{:?}", client.errors);
    world.others_write(&[("x", 3)]);
    world.run();
    assert_eq!(client.values(), content(&[("x", 3)]));
}

#[test]
fn a_status_listener_that_panics_keeps_the_status_from_no_other() {
    let world = World::holding(&[("x", 1)]);
    let client = world.client();
    let _panics = client.engine.add_status_listener(|_| panic!("on purpose"));
    let (statuses, _subscription) = client.statuses();
    world.clock.block_on(client.engine.load()).unwrap();
    assert_eq!(*statuses.lock().unwrap(), [roommate::Status::Loading, roommate::Status::Idle]);
    assert_eq!(client.errors.kinds(), [ErrorKind::Callback, ErrorKind::Callback]);
}
