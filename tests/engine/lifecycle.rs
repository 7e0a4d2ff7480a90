//! Starting, stopping, scheduling and ending.

use std::{
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use roommate::{
    Engine, Error, ErrorKind, Memory, Status, Store, block_on,
    conformance::{Fault, Gate, Op},
};

use crate::world::{World, changes, content};

type Log = Arc<Mutex<Vec<&'static str>>>;

fn action(log: &Log, name: &'static str, gate: Option<Gate>) -> impl Future<Output = roommate::Result<()>> + use<> {
    let log = log.clone();
    async move {
        if let Some(gate) = gate {
            gate.pass().await;
        }
        log.lock().unwrap().push(name);
        Ok(())
    }
}

#[test]
fn an_engine_knows_its_store() {
    let world = World::new();
    let client = world.client();
    client.set("x", 1);
    assert_eq!(client.engine.store().content(), client.values());
}

#[test]
fn scheduled_actions_run_one_after_the_other_and_beside_no_load() {
    let world = World::holding(&[("x", 1)]);
    let client = world.client();
    let log = Log::default();
    let (first, load) = (Gate::new(), Gate::new());
    client.faults.next(Op::Load, Fault::Hold(load.clone()));
    let one = client.engine.schedule(action(&log, "one", Some(first.clone())));
    let loaded = client.engine.load();
    let two = client.engine.schedule(action(&log, "two", None));
    world.run();
    assert!(first.is_reached() && !load.is_reached(), "the load waits for the action");
    first.open();
    world.run();
    assert_eq!(*log.lock().unwrap(), ["one"]);
    assert!(load.is_reached(), "and the second action for the load");
    load.open();
    for pending in [one, loaded, two] {
        world.clock.block_on(pending).unwrap();
    }
    assert_eq!(*log.lock().unwrap(), ["one", "two"]);
}

#[test]
fn an_action_that_fails_or_panics_is_told_and_the_next_one_runs() {
    let world = World::new();
    let client = world.client();
    let log = Log::default();
    let failed = client.engine.schedule(async { Err(Error::new(ErrorKind::Callback, "on purpose")) });
    let panicked = client.engine.schedule(async { panic!("on purpose") });
    let next = client.engine.schedule(action(&log, "next", None));
    assert_eq!(world.clock.block_on(failed).unwrap_err().to_string(), "on purpose");
    assert_eq!(world.clock.block_on(panicked).unwrap_err().kind(), ErrorKind::Callback);
    world.clock.block_on(next).unwrap();
    assert_eq!(*log.lock().unwrap(), ["next"]);
}

#[test]
fn an_action_may_call_its_own_engine() {
    let world = World::holding(&[("x", 1)]);
    let client = world.client();
    let engine = client.engine.clone();
    let acted = client.engine.schedule(async move {
        // Not awaited: the call's turn comes when this action is done.
        drop(engine.load());
        Ok(())
    });
    world.clock.block_on(acted).unwrap();
    world.run();
    assert_eq!(client.values(), content(&[("x", 1)]));
}

#[test]
fn starting_twice_follows_the_place_once() {
    let world = World::holding(&[("x", 1)]);
    let client = world.client();
    let starts = [client.engine.start_auto_persisting(None), client.engine.start_auto_persisting(None)];
    for started in starts {
        world.clock.block_on(started).unwrap();
    }
    assert_eq!(client.faults.calls(Op::Watch), 1);
    let loads = client.engine.stats().loads;
    world.others_write(&[("x", 2)]);
    world.run();
    assert_eq!(client.engine.stats().loads, loads + 1);
    client.set("x", 3);
    world.run();
    assert_eq!(client.engine.stats().saves, 1);
}

#[test]
fn the_half_that_began_is_stopped_when_the_other_cannot() {
    for save_first in [false, true] {
        let world = World::new();
        let client = world.client();
        let (failing, error) = match save_first {
            false => (Op::Save, Fault::refused()),
            true => (Op::Load, Fault::refused()),
        };
        client.faults.next(failing, error);
        let started = match save_first {
            false => client.engine.start_auto_persisting(None),
            true => client.engine.start_auto_persisting_save_first(None),
        };
        assert_eq!(world.clock.block_on(started).unwrap_err().kind(), ErrorKind::Refused);
        assert!(!client.engine.is_auto_loading() && !client.engine.is_auto_saving());
        assert!(client.errors.kinds().is_empty(), "it was awaited");
        client.set("x", 1);
        world.run();
        assert!(world.place.content().is_none_or(|content| content.is_empty()));
        world.clock.block_on(client.engine.start_auto_persisting(None)).unwrap();
        world.run();
        assert_eq!(world.held(), content(&[("x", 1)]), "and nothing is lost by it");
    }
}

#[test]
fn stopping_one_half_of_a_start_lets_the_other_go_on() {
    let world = World::holding(&[("x", 1)]);
    let client = world.client();
    let gate = Gate::new();
    client.faults.next(Op::Load, Fault::Hold(gate.clone()));
    let started = client.engine.start_auto_persisting(None);
    world.run();
    world.clock.block_on(client.engine.stop_auto_load()).unwrap();
    world.clock.block_on(started).unwrap();
    assert!(!client.engine.is_auto_loading() && client.engine.is_auto_saving());
}

#[test]
fn a_start_after_a_stop_is_a_new_one() {
    let world = World::holding(&[("x", 1)]);
    let client = world.client();
    client.faults.next(Op::Watch, Fault::Hold(Gate::new()));
    let first = client.engine.start_auto_persisting(None);
    world.run();
    let stopped = client.engine.stop_auto_persisting();
    let second = client.engine.start_auto_persisting(None);
    assert_eq!(world.clock.block_on(first).unwrap_err().kind(), ErrorKind::Closed);
    world.clock.block_on(stopped).unwrap();
    world.clock.block_on(second).unwrap();
    assert!(client.engine.is_auto_loading() && client.engine.is_auto_saving());
}

#[test]
fn whoever_needs_the_stream_no_more_lets_it_go() {
    let world = World::holding(&[("x", 1)]);
    let client = world.joined();
    world.clock.block_on(client.engine.stop_auto_persisting()).unwrap();
    world.run();
    let loads = client.engine.stats().loads;
    world.others_write(&[("x", 2)]);
    world.run();
    assert_eq!(client.engine.stats().loads, loads);
    world.clock.block_on(client.engine.start_auto_persisting(None)).unwrap();
    assert_eq!(client.faults.calls(Op::Watch), 2);
    assert_eq!(client.values(), content(&[("x", 2)]));
}

#[test]
fn l7_destroying_right_after_edits_saves_them_all() {
    let world = World::holding(&[("x", 0)]);
    let client = world.joined();
    let gate = Gate::new();
    client.faults.next(Op::Save, Fault::Hold(gate.clone()));
    client.set("x", 1);
    world.run();
    for n in 2..=5 {
        client.set(&format!("v{n}"), n);
    }
    gate.open();
    assert_eq!(world.clock.block_on(client.engine.destroy()), []);
    assert_eq!(world.held(), content(&[("x", 1), ("v2", 2), ("v3", 3), ("v4", 4), ("v5", 5)]));
    assert_eq!(client.faults.calls(Op::Close), 1);
}

#[test]
fn r4_destroy_returns_what_it_could_not_save_within_its_deadline() {
    let world = World::holding(&[("x", 0)]);
    let client = world.client_with(|builder| builder.with_flush_deadline(Duration::from_secs(3)));
    world.clock.block_on(client.engine.start_auto_persisting(None)).unwrap();
    for n in 1..1000 {
        client.faults.nth(Op::Save, n, Fault::unavailable());
    }
    client.set("x", 1);
    world.run();
    client.set("y", 2);
    let begin = world.clock.now();
    assert_eq!(world.clock.wait_for(client.engine.destroy()), [changes(&[("x", 1)]), changes(&[("y", 2)])]);
    assert_eq!(world.clock.now() - begin, Duration::from_secs(3));
    assert_eq!(client.faults.calls(Op::Close), 1);
    assert_eq!(client.values(), content(&[("x", 1), ("y", 2)]), "the store lives on");
}

#[test]
fn r4_destroy_returns_what_was_never_to_be_saved_at_once() {
    let world = World::holding(&[("x", 0)]);
    let client = world.client();
    world.clock.block_on(client.engine.load()).unwrap();
    client.set("x", 1);
    assert_eq!(world.clock.block_on(client.engine.destroy()), [changes(&[("x", 1)])]);
    assert_eq!(world.held(), content(&[("x", 0)]));
}

#[test]
fn r4_destroy_waits_for_confirmations_until_its_deadline() {
    for confirms in [true, false] {
        let (world, room, client) = World::with_room(&[]);
        client.set("x", 1);
        world.run();
        let engine = client.engine.clone();
        let left = world.clock.wait_for(async {
            let mut destroyed = std::pin::pin!(engine.destroy());
            futures_util::future::poll_immediate(&mut destroyed).await;
            if confirms {
                room.confirm(0);
            }
            destroyed.await
        });
        assert_eq!(left.is_empty(), confirms);
    }
}

#[test]
fn destroy_waits_for_the_running_action_and_answers_the_calls_behind_it() {
    let world = World::new();
    let client = world.client();
    let log = Log::default();
    let gate = Gate::new();
    let running = client.engine.schedule(action(&log, "running", Some(gate.clone())));
    let waiting = client.engine.schedule(action(&log, "waiting", None));
    world.run();
    let engine = client.engine.clone();
    let mut destroyed = Box::pin(async move { engine.destroy().await });
    assert!(world.clock.block_on(futures_util::future::poll_immediate(&mut destroyed)).is_none());
    world.run();
    assert_eq!(client.faults.calls(Op::Close), 0);
    gate.open();
    world.clock.block_on(destroyed);
    assert_eq!(*log.lock().unwrap(), ["running"]);
    for call in [running, waiting] {
        assert_eq!(world.clock.block_on(call).unwrap_err().kind(), ErrorKind::Closed);
    }
}

#[test]
fn destroying_at_once_and_again_is_one_end() {
    let world = World::holding(&[("x", 1)]);
    let client = world.joined();
    let mut statuses = client.engine.statuses();
    let (left, other) =
        world.clock.block_on(futures_util::future::join(client.engine.destroy(), client.engine.destroy()));
    assert_eq!((left, other), (vec![], vec![]));
    assert_eq!(world.clock.block_on(client.engine.destroy()), []);
    assert_eq!(client.faults.calls(Op::Close), 1);
    assert!(!client.engine.is_auto_loading() && !client.engine.is_auto_saving());
    assert_eq!(client.engine.status(), Status::Idle);
    while world.clock.block_on(futures_util::StreamExt::next(&mut statuses)).is_some() {}
    client.set("x", 2);
    world.others_write(&[("y", 2)]);
    world.run();
    assert_eq!(client.values(), content(&[("x", 2)]));
    for call in [client.engine.load(), client.engine.save(), client.engine.flush(), client.engine.stop_auto_load()] {
        assert_eq!(world.clock.block_on(call).unwrap_err().kind(), ErrorKind::Closed);
    }
}

#[test]
fn destroying_while_a_start_is_under_way_leaves_nothing_open() {
    for op in [Op::Watch, Op::Load, Op::Save] {
        let world = World::new();
        let client = world.client();
        client.faults.next(op, Fault::Hold(Gate::new()));
        let started = client.engine.start_auto_persisting(None);
        world.run();
        world.clock.wait_for(client.engine.destroy());
        assert_eq!(world.clock.block_on(started).unwrap_err().kind(), ErrorKind::Closed);
        assert!(!client.faults.is_under_way(op), "{op:?}");
        assert!(!client.engine.is_auto_loading() && !client.engine.is_auto_saving());
        assert_eq!(client.faults.calls(Op::Close), 1);
    }
}

#[test]
fn a_close_that_fails_is_told_and_one_that_hangs_is_given_up() {
    let world = World::new();
    let client = world.client();
    client.faults.next(Op::Close, Fault::refused());
    world.clock.block_on(client.engine.destroy());
    assert_eq!(client.errors.kinds(), [ErrorKind::Refused]);
    let client = world.client();
    client.faults.next(Op::Close, Fault::Hold(Gate::new()));
    world.clock.wait_for(client.engine.destroy());
    assert!(!client.faults.is_under_way(Op::Close));
}

#[test]
fn dropping_the_last_engine_ends_its_task_and_closes_the_persister_once() {
    let world = World::holding(&[("x", 1)]);
    let client = world.joined();
    let (faults, store) = (client.faults.clone(), client.store.clone());
    let clone = client.engine.clone();
    drop(client);
    world.run();
    assert_eq!(faults.calls(Op::Close), 0, "a clone is left");
    drop(clone);
    world.run();
    assert_eq!(faults.calls(Op::Close), 1);
    assert!(world.clock.is_idle(), "the task has ended");
    store.set_value("x", 2).unwrap();
    world.run();
    assert_eq!(world.held(), content(&[("x", 1)]));
}

#[test]
fn an_engine_that_nobody_ever_called_ends_too() {
    let world = World::new();
    let client = world.client();
    let faults = client.faults.clone();
    drop(client);
    world.run();
    assert_eq!(faults.calls(Op::Close), 1);
    assert!(world.clock.is_idle());
}

#[test]
fn it_all_works_on_threads_with_many_writers() {
    let place = Memory::new();
    let clients: Vec<_> = (0..3)
        .map(|_| {
            let store = Store::new();
            let engine = Engine::new(&store, place.client());
            (store, engine)
        })
        .collect();
    for (_, engine) in &clients {
        block_on(engine.start_auto_persisting(None)).unwrap();
    }
    thread::scope(|scope| {
        for (number, (store, _)) in clients.iter().enumerate() {
            for writer in 0..2 {
                scope.spawn(move || {
                    for n in 0..100 {
                        store.set_cell("t", "shared", format!("c{}", n % 3), n).unwrap();
                        store.set_cell("t", format!("{number}/{writer}"), "n", n).unwrap();
                        if n % 7 == 0 {
                            store.del_row("t", "shared").unwrap();
                        }
                    }
                });
            }
        }
    });
    for (_, engine) in &clients {
        block_on(engine.flush()).unwrap();
    }
    let held = place.content().unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while clients.iter().any(|(store, _)| store.content() != held) {
        assert!(Instant::now() < deadline, "they stay apart");
        thread::yield_now();
    }
    for number in 0..3 {
        for writer in 0..2 {
            assert_eq!(held.cell("t", &format!("{number}/{writer}"), "n"), Some(&99.into()));
        }
    }
    for (_, engine) in &clients {
        assert!(block_on(engine.destroy()).is_empty());
    }
}
