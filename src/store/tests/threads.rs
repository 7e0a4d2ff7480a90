use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use futures_util::StreamExt;

use crate::{
    content::Content,
    error::{Error, ErrorKind, Result},
    runtime::block_on,
    store::{Commit, Origin, Store},
};

/// Generous: it only ends a test that has failed.
const PATIENCE: Duration = Duration::from_secs(30);

fn number(store: &Store, value_id: &str) -> f64 {
    store.value(value_id).and_then(|value| value.as_f64()).unwrap_or_default()
}

#[test]
fn no_increment_is_lost_between_threads() {
    let store = Store::new();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..250 {
                    store.update_value("n", |n| n.and_then(|n| n.as_f64()).unwrap_or_default() + 1.0).unwrap();
                }
            });
        }
    });
    assert_eq!(number(&store, "n"), 2000.0);
}

#[test]
fn nobody_reads_half_of_a_transaction() {
    let store = Store::new();
    store.set_values([("a", 50), ("b", 50)]).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut reads = 0;
                    while !done.load(Ordering::SeqCst) || reads == 0 {
                        let values = store.values();
                        let sum = values["a"].as_f64().unwrap() + values["b"].as_f64().unwrap();
                        assert_eq!(sum, 100.0);
                        assert!(!store.has_value("never"));
                        reads += 1;
                    }
                })
            })
            .collect();
        let writers: Vec<_> = (0..3)
            .map(|n| {
                let store = &store;
                scope.spawn(move || {
                    for step in 0..99 {
                        let moved = store.transaction(|store| -> Result<()> {
                            let a = number(store, "a");
                            store.set_value("a", a - 1.0)?;
                            store.set_value("never", 1)?;
                            thread::yield_now();
                            store.set_value("b", number(store, "b") + 1.0)?;
                            store.del_value("never")?;
                            if (step + n) % 3 == 0 { Err(Error::new(ErrorKind::Invalid, "no")) } else { Ok(()) }
                        });
                        assert_eq!(moved.is_err(), (step + n) % 3 == 0);
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        done.store(true, Ordering::SeqCst);
        for reader in readers {
            reader.join().unwrap();
        }
    });
    assert_eq!(number(&store, "b"), 50.0 + 198.0);
}

#[test]
fn another_thread_reads_while_listeners_run() {
    let store = Store::new();
    let (ask, asked) = mpsc::channel::<()>();
    let (tell, told) = mpsc::channel();
    let reader = {
        let store = store.clone();
        thread::spawn(move || {
            asked.recv_timeout(PATIENCE).unwrap();
            tell.send(store.value("v")).unwrap();
        })
    };
    let told = std::sync::Mutex::new(told);
    let listener = store.add_value_listener("v", move |event| {
        ask.send(()).unwrap();
        let read = told.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        assert_eq!(read.as_ref(), event.new);
    });
    store.set_value("v", 1).unwrap();
    reader.join().unwrap();
    drop(listener);
}

#[test]
fn a_reader_gets_its_turn_beside_a_thread_that_never_stops_writing() {
    let store = Store::new();
    let done = Arc::new(AtomicBool::new(false));
    let writer = {
        let (store, done) = (store.clone(), Arc::clone(&done));
        thread::spawn(move || {
            let mut n = 0;
            while !done.load(Ordering::SeqCst) {
                n += 1;
                store.transaction(|store| store.set_value("n", n)).unwrap();
            }
        })
    };
    let mut last = 0.0;
    for _ in 0..100 {
        let n = number(&store, "n");
        assert!(n >= last);
        last = n;
    }
    done.store(true, Ordering::SeqCst);
    writer.join().unwrap();
}

#[test]
fn r3_nobody_writes_during_a_quiet_moment_or_a_hook() {
    let store = Store::new();
    let inside = Arc::new(AtomicUsize::new(0));
    let (reading, seen) = (store.clone(), Arc::clone(&inside));
    let hook = store.on_commit(Arc::new(move |commit: &Commit<'_>| {
        assert_eq!(seen.fetch_add(1, Ordering::SeqCst), 0);
        for (value_id, value) in &commit.changes.values {
            assert_eq!(reading.value(value_id).as_ref(), value.as_ref());
        }
        seen.fetch_sub(1, Ordering::SeqCst);
    }));
    let barrier = Barrier::new(3);
    thread::scope(|scope| {
        scope.spawn(|| {
            barrier.wait();
            (0..500).for_each(|n| store.set_value("v", n).unwrap());
        });
        scope.spawn(|| {
            barrier.wait();
            let origin = Origin::next();
            (0..500).for_each(|n| store.transact_as(origin, |store| store.set_value("v", -n)).unwrap().0.unwrap());
        });
        scope.spawn(|| {
            barrier.wait();
            for _ in 0..500 {
                store.with_committed(|before| {
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                    thread::yield_now();
                    assert_eq!(store.content(), before);
                    inside.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
    });
    drop(hook);
}

#[test]
fn a_stream_sums_up_to_the_store_whatever_many_threads_do() {
    let store = Store::new();
    let streams: Vec<_> = (0..3).map(|_| store.changes()).collect();
    let readers: Vec<_> = streams
        .into_iter()
        .map(|mut changes| {
            thread::spawn(move || {
                let mut copy = Content::new();
                block_on(async {
                    while let Some(changes) = changes.next().await {
                        copy.apply(&changes);
                    }
                });
                copy
            })
        })
        .collect();
    thread::scope(|scope| {
        for n in 0..4 {
            let store = store.clone();
            scope.spawn(move || {
                for step in 0..200 {
                    let row = format!("r{}", (step * 7 + n) % 5);
                    let done = store.transaction(|store| -> Result<()> {
                        store.set_cell("t", &*row, "c", step)?;
                        store.set_cell("u", &*row, "c", n)?;
                        match step % 5 {
                            0 => store.del_row("t", &row),
                            1 => store.del_table("u"),
                            2 => Err(Error::new(ErrorKind::Invalid, "no")),
                            _ => store.set_value("v", step),
                        }
                    });
                    assert_eq!(done.is_err(), step % 5 == 2);
                }
            });
        }
    });
    let content = store.content();
    drop(store);
    for reader in readers {
        assert_eq!(reader.join().unwrap(), content);
    }
}

#[test]
fn another_thread_reads_what_was_there_before_while_a_transaction_is_open() {
    let store = Store::new();
    store.set_row("t", "old", [("a", 1), ("b", 2)]).unwrap();
    store.set_row("t", "gone", [("a", 1)]).unwrap();
    store.set_value("v", 1).unwrap();
    let before = store.content();
    let transaction = store.start_transaction().unwrap();
    store.set_cell("t", "old", "a", 5).unwrap();
    store.del_cell("t", "old", "b").unwrap();
    store.del_row("t", "gone").unwrap();
    store.set_cell("t", "new", "a", 5).unwrap();
    store.set_cell("u", "new", "a", 5).unwrap();
    store.del_value("v").unwrap();
    let look = || {
        assert_eq!(store.content(), before);
        assert_eq!(store.cell("t", "old", "a"), Some(1.into()));
        assert_eq!(store.cell_ids("t", "old"), ["a", "b"]);
        assert_eq!(store.row_ids("t"), ["old", "gone"]);
        assert_eq!(store.row_count("t"), 2);
        assert!(store.has_row("t", "gone") && !store.has_row("t", "new") && !store.has_table("u"));
        assert_eq!(store.value("v"), Some(1.into()));
        assert!(store.transaction_changes().is_empty());
    };
    thread::scope(|scope| scope.spawn(look).join().unwrap());
    transaction.finish().unwrap();
    let after = thread::scope(|scope| scope.spawn(|| store.content()).join().unwrap());
    assert_eq!(after.cell("t", "old", "a"), Some(&5.into()));
    assert_eq!(after, store.content());
}

#[test]
fn a_copy_of_the_content_stays_as_it_was_whatever_is_written_later() {
    let store = Store::new();
    store
        .transaction(|store| (0..500).try_for_each(|n| store.set_row("t", format!("r{n}"), [("a", n), ("b", 0)])))
        .unwrap();
    let (copy, text) = (store.content(), store.json());
    for n in (0..500).step_by(7) {
        store.set_cell("t", format!("r{n}"), "a", -1).unwrap();
        store.set_cell("t", format!("r{n}"), "c", -1).unwrap();
        store.del_row("t", &format!("r{}", n + 1)).unwrap();
    }
    assert_eq!(copy.to_json(), text);
    let mut other = copy.clone();
    other.apply(&copy.diff(&store.content()));
    assert_eq!(other, store.content());
    store.set_content(&copy).unwrap();
    assert_eq!(store.content(), copy);
}
