//! Four threads write to one store and read it, as fast as they can: no read is torn, no write is lost, nobody waits for
//! ever.
//!
//! Two seconds, or as many as `SECONDS` says: `SECONDS=60 cargo test --test store_threads -- --nocapture`, which prints
//! its figures.

use std::{
    env,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use roommate::{ANY, Content, Error, ErrorKind, Store};

const THREADS: u64 = 4;
const ACCOUNTS: u64 = 6;
const TOTAL: f64 = 600.0;

/// Generous: it only ends a test that has failed.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
struct Figures {
    moves: AtomicU64,
    failures: AtomicU64,
    reads: AtomicU64,
    calls: AtomicU64,
}

#[test]
fn four_threads_tear_no_read_and_wait_for_nobody_for_ever() {
    let seconds = env::var("SECONDS").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(2.0);
    let store = Store::new();
    for account in 0..ACCOUNTS {
        store.set_row("accounts", account.to_string(), [("sum", TOTAL / ACCOUNTS as f64), ("moves", 0.0)]).unwrap();
    }
    let figures = Arc::new(Figures::default());
    let listener = store.add_cell_listener("accounts", ANY, "sum", {
        let figures = Arc::clone(&figures);
        move |event| {
            // Of its own thread's transactions; others may read meanwhile, and none may write.
            check(&event.store.content());
            figures.calls.fetch_add(1, Ordering::Relaxed);
        }
    });

    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let (done, all_done) = mpsc::channel();
    let threads: Vec<_> = (0..THREADS)
        .map(|number| {
            let (store, figures, done) = (store.clone(), Arc::clone(&figures), done.clone());
            thread::spawn(move || {
                let mut dice = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
                while Instant::now() < end {
                    work(&store, &figures, &mut dice);
                }
                let _ = done.send(());
            })
        })
        .collect();
    drop(done);
    for _ in 0..THREADS {
        // An error here is a thread that panicked, which its join tells, or one that waits for ever.
        let waited = all_done.recv_timeout(Duration::from_secs_f64(seconds) + PATIENCE);
        assert_ne!(waited, Err(mpsc::RecvTimeoutError::Timeout), "a thread waits for ever");
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    drop(listener);

    let moves = figures.moves.load(Ordering::Relaxed);
    assert_eq!(store.value("moves").and_then(|moves| moves.as_f64()), Some(moves as f64), "no write is lost");
    check(&store.content());
    println!("{seconds} s, {THREADS} threads: {figures:?}");
    assert!(moves > 0 && figures.reads.load(Ordering::Relaxed) > 0);
}

/// One transaction, which may fail half-way, and a look at everything.
fn work(store: &Store, figures: &Figures, dice: &mut u64) {
    let mut roll = |below: u64| {
        *dice ^= *dice << 13;
        *dice ^= *dice >> 7;
        *dice ^= *dice << 17;
        *dice % below
    };
    let (from, to, amount) = (roll(ACCOUNTS).to_string(), roll(ACCOUNTS).to_string(), roll(100) as f64);
    let (fails, replaces) = (roll(4) == 0, roll(4) == 0);
    let moved = store.transaction(|store| {
        let add = |account: &str, cell_id: &str, amount: f64| {
            store.update_cell("accounts", account, cell_id, |cell| {
                cell.and_then(|cell| cell.as_f64()).unwrap_or_default() + amount
            })
        };
        add(&from, "sum", -amount)?;
        if replaces {
            // All rows go and come.
            let table = store.table("accounts");
            store.del_tables()?;
            store.set_table("accounts", &table)?;
        }
        add(&from, "moves", 1.0)?;
        if fails {
            return Err(Error::new(ErrorKind::Invalid, "no"));
        }
        add(&to, "sum", amount)?;
        store.update_value("moves", |moves| moves.and_then(|moves| moves.as_f64()).unwrap_or_default() + 1.0)
    });
    assert_eq!(moved.is_err(), fails);
    let figure = if fails { &figures.failures } else { &figures.moves };
    figure.fetch_add(1, Ordering::Relaxed);

    match roll(3) {
        0 => check(&store.content()),
        1 => check(&Content::from_json(&store.json()).unwrap().value),
        _ => {
            let table = store.table("accounts");
            assert_eq!(table.values().filter_map(|row| row.get("sum")?.as_f64()).sum::<f64>(), TOTAL);
        }
    }
    figures.reads.fetch_add(1, Ordering::Relaxed);
}

/// What every transaction keeps: money is moved and neither made nor lost, and every move is counted twice.
fn check(content: &Content) {
    let accounts = &content.tables["accounts"];
    assert_eq!(accounts.len() as u64, ACCOUNTS);
    let sum = |cell_id: &str| accounts.values().filter_map(|row| row.get(cell_id)?.as_f64()).sum::<f64>();
    assert_eq!(sum("sum"), TOTAL);
    let moves = content.values.get("moves").and_then(|moves| moves.as_f64()).unwrap_or_default();
    assert_eq!(sum("moves"), moves);
}
