//! R3 under real threads: four write, the place tells at full speed, and all of it is held against a model.
//!
//! A run is of rounds: all threads at once, then rest. The place accepts, refuses and writes to the same cells; somebody
//! looks at the store all the while, between two transactions. `SECONDS=60 cargo test --test threads -- --nocapture` runs
//! longer and prints its figures.

use std::{
    env,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use roommate::{Changes, Content, Engine, Error, ErrorKind, Store, block_on};

#[path = "threads/flood.rs"]
mod flood;
#[path = "threads/ledger.rs"]
mod ledger;

use flood::Flood;
use ledger::{Dice, Ledger, Mint, OTHERS, WRITERS};

/// Generous: it only ends a test that has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long the writers of one round write.
const ROUND: Duration = Duration::from_millis(120);

/// How much longer, or shorter, others write in the place.
const MORE: Duration = Duration::from_millis(30);

#[derive(Debug, Default)]
struct Figures {
    rounds: u64,
    edits: AtomicU64,
    looks: AtomicU64,
}

#[test]
fn r3_no_edit_and_no_notice_passes_the_other_unseen() {
    let seconds = env::var("SECONDS").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(2.0);
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let mint = Arc::new(Mint::default());
    let ledger = Arc::new(Ledger::default());
    let place = Flood::new(Arc::clone(&ledger));
    let store = Store::new();
    let errors = Arc::new(Mutex::new(Vec::new()));
    let engine = Engine::builder(&store, place.client())
        .with_retry_delays(Duration::from_millis(1), Duration::from_millis(2))
        .with_on_ignored_error({
            let errors = Arc::clone(&errors);
            move |error: Error| {
                // The place is away now and then; nothing else may happen.
                if error.kind() != ErrorKind::Unavailable {
                    lock(&errors).push(error);
                }
            }
        })
        .build();
    let refused = Arc::new(Mutex::new(Vec::new()));
    let hears = engine.add_refused_listener({
        let refused = Arc::clone(&refused);
        move |refusal| lock(&refused).push(refusal.changes.clone())
    });
    block_on(engine.start_auto_persisting(None)).unwrap();

    let mut figures = Figures::default();
    while figures.rounds == 0 || Instant::now() < end {
        figures.rounds += 1;
        round(&figures, &store, &engine, &place, &mint, &ledger);
        assert_eq!(store.content(), place.content());
        assert_eq!(*lock(&refused), place.refused(), "what was refused is what was told as refused");
        ledger.close().unwrap();
        assert!(lock(&errors).is_empty(), "{errors:?}");
    }
    let (edits, looks) = (figures.edits.load(Ordering::SeqCst), figures.looks.load(Ordering::SeqCst));
    assert!(edits > 0 && looks > 0);
    println!("{seconds} s, {} rounds: {edits} edits, {looks} looks; {}", figures.rounds, place.figures());
    drop(hears);
    assert!(block_on(engine.destroy()).is_empty());
}

/// Lets everybody write for a while, and returns when all of it has arrived everywhere.
fn round(figures: &Figures, store: &Store, engine: &Engine, place: &Flood, mint: &Mint, ledger: &Ledger) {
    let until = Instant::now() + ROUND;
    let settled = AtomicBool::new(false);
    thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|author| {
                scope.spawn(move || {
                    let mut dice = Dice::new(figures.rounds * 10 + author as u64);
                    while Instant::now() < until {
                        edit(store, mint, ledger, author, &mut dice);
                        figures.edits.fetch_add(1, Ordering::Relaxed);
                        // Whoever gives the turn back would else often be the next to have it.
                        thread::yield_now();
                    }
                })
            })
            .collect();
        let settled = &settled;
        scope.spawn(move || {
            let mut dice = Dice::new(figures.rounds * 10 + OTHERS as u64);
            // In some rounds others have the last word, in some the writers.
            let quiet = if dice.below(2) == 0 { until + MORE } else { until - MORE };
            while !settled.load(Ordering::SeqCst) {
                place.work(Instant::now() < quiet, &mut dice, mint);
            }
        });
        scope.spawn(move || {
            while !settled.load(Ordering::SeqCst) {
                look(store, engine, place, mint);
                figures.looks.fetch_add(1, Ordering::Relaxed);
                thread::yield_now();
            }
        });
        let all_written = writers.into_iter().all(|writer| writer.join().is_ok());
        let came = all_written && arrives(|| Instant::now() > until + MORE && engine.unconfirmed().is_empty());
        settled.store(true, Ordering::SeqCst);
        assert!(came, "never confirmed: {:?}", engine.unconfirmed());
    });
    arrives(|| place.is_heard() && store.content() == place.content());
}

/// One transaction of one to three parts, noted where no other transaction can come between.
fn edit(store: &Store, mint: &Mint, ledger: &Ledger, author: usize, dice: &mut Dice) {
    let parts: Vec<Changes> = (0..=dice.below(3)).map(|_| mint.part(author, dice)).collect();
    store
        .transaction(|store| {
            for part in &parts {
                store.apply_changes(part)?;
                ledger.written(part);
            }
            Ok::<(), Error>(())
        })
        .unwrap();
}

/// Looks at everything while no transaction runs (R2), and then as anybody may.
fn look(store: &Store, engine: &Engine, place: &Flood, mint: &Mint) {
    let (shown, unconfirmed, told) =
        store.transaction(|store| Ok::<_, Error>((store.content(), engine.unconfirmed(), place.told()))).unwrap();
    let on_top = |mut confirmed: Content| {
        unconfirmed.iter().for_each(|edit| confirmed.apply(edit));
        confirmed
    };
    // The engine may hold a notice that waits for the transaction to end.
    assert!(
        told.into_iter().any(|confirmed| on_top(confirmed) == shown),
        "the store is not what is confirmed with the unconfirmed edits on top: {shown:?}"
    );
    mint.check(&store.content()).unwrap();
}

fn arrives(mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
