//! R3 under schedules that shuttle chooses: the real store, engine and place, whose locks and threads are shuttle's.
//!
//! Whatever a lock, a condition variable or a wake-up can order, shuttle orders at random or by priorities, and finds
//! dead ends as well. It is not exhaustive; a schedule that fails is printed, and can be replayed.

#![cfg(test)]

#[cfg(not(shuttle))]
compile_error!("run this in tests/shuttle, where .cargo/config.toml sets `--cfg shuttle`, and without RUSTFLAGS");

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures_core::future::BoxFuture;
use roommate::{Cell, Changes, Engine, Error, Memory, Runtime, Store};
use shuttle::{future::block_on, thread};

/// Tasks are threads of shuttle's. Time does not pass: what sleeps here sleeps until it is dropped.
#[derive(Debug)]
struct Scheduled;

impl Runtime for Scheduled {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        thread::spawn(move || block_on(task));
    }

    fn sleep(&self, _: std::time::Duration) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
}

fn set(to: &str) -> Changes {
    let mut changes = Changes::new();
    changes.set_cell("t", "r", "c", to.try_into().unwrap());
    changes
}

/// What an edit assigns to the one cell.
fn cell(edit: &Changes) -> Option<&Option<Cell>> {
    edit.tables.get("t")?.as_ref()?.get("r")?.as_ref()?.get("c")
}

/// Two threads edit a cell while somebody else in the place writes to it as well; then everything comes to rest.
fn edits_cross_notices() {
    let place = Memory::new();
    place.apply_changes(&set("first"));
    let store = Store::new();
    let engine = Engine::builder(&store, place.client()).with_runtime(Scheduled).build();
    block_on(engine.start_auto_persisting(None)).unwrap();

    let mut threads: Vec<_> = (0..2)
        .map(|author| {
            let store = store.clone();
            thread::spawn(move || {
                for number in 0..2 {
                    store.set_cell("t", "r", "c", format!("{author}.{number}")).unwrap();
                    // One transaction, of which nobody sees half.
                    store
                        .transaction(|store| {
                            store.set_value("left", format!("{author}.{number}"))?;
                            store.set_value("right", format!("{author}.{number}"))
                        })
                        .unwrap();
                }
            })
        })
        .collect();
    threads.push({
        let place = place.clone();
        thread::spawn(move || (0..3).for_each(|number| place.apply_changes(&set(&format!("others.{number}")))))
    });
    threads.push({
        let (store, engine) = (store.clone(), engine.clone());
        thread::spawn(move || {
            for _ in 0..2 {
                let (shown, unconfirmed) =
                    store.transaction(|store| Ok::<_, Error>((store.content(), engine.unconfirmed()))).unwrap();
                assert_eq!(shown.values.get("left"), shown.values.get("right"), "half of a transaction");
                // As much of R2 as can be seen from here: what is edited and unconfirmed shows.
                let edited = unconfirmed.iter().filter_map(cell).last();
                if let Some(edited) = edited {
                    assert_eq!(shown.cell("t", "r", "c"), edited.as_ref(), "a notice lies over an unconfirmed edit");
                }
            }
        })
    });
    threads.into_iter().for_each(|thread| thread.join().unwrap());

    block_on(engine.flush()).unwrap();
    // What is confirmed is in the place; what others wrote last may still be on its way here.
    block_on(engine.load()).unwrap();
    assert_eq!(Some(store.content()), place.content());
    assert!(engine.unconfirmed().is_empty());
    assert!(block_on(engine.destroy()).is_empty());
}

#[test]
fn r3_whichever_thread_comes_first() {
    let runs = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&runs);
    shuttle::check_random(
        move || {
            edits_cross_notices();
            counts.fetch_add(1, Ordering::SeqCst);
        },
        RUNS,
    );
    assert_eq!(runs.load(Ordering::SeqCst), RUNS);
}

#[test]
fn r3_whichever_thread_is_kept_waiting() {
    // Three changes of priority find every error that takes no more than three bad moments.
    shuttle::check_pct(edits_cross_notices, RUNS, 3);
}

const RUNS: usize = 5000;
