//! Our side of each case. What is dropped at the end is not measured, as garbage is not on the other side.

use std::{
    fs,
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use roommate::{ANY, Changes, Content, Error, Store};

use super::data::{TABLE, filled, ids, item};

pub(crate) fn set_row() -> f64 {
    let rows: Vec<_> = (0..100_000).map(|i| (format!("r{i}"), item(i))).collect();
    let store = Store::new();
    timed(|| {
        let fill = |store: &Store| {
            rows.iter().try_for_each(|(id, row)| {
                store.set_row(TABLE, id.as_str(), row.iter().map(|(id, cell)| (*id, cell.clone())))
            })
        };
        store.transaction(fill).expect("rows that can be taken");
    })
}

pub(crate) fn set_cell() -> f64 {
    transactions(&filled(1000), set_qty)
}

pub(crate) fn set_cell_100_listeners() -> f64 {
    let store = filled(1000);
    let heard = Arc::new(AtomicU64::new(0));
    let _listeners: Vec<_> = (0..100)
        .map(|_| {
            let heard = Arc::clone(&heard);
            store.add_cell_listener(ANY, ANY, ANY, move |_| {
                heard.fetch_add(1, Ordering::Relaxed);
            })
        })
        .collect();
    let took = transactions(&store, set_qty);
    assert_eq!(heard.load(Ordering::Relaxed), 100 * 100_000);
    took
}

pub(crate) fn set_cell_changes_read() -> f64 {
    let store = filled(1000);
    let heard = Arc::new(AtomicU64::new(0));
    let _listener = {
        let heard = Arc::clone(&heard);
        store.add_did_finish_transaction_listener(move |event| {
            heard.fetch_add(event.changes().tables.len() as u64, Ordering::Relaxed);
        })
    };
    let took = transactions(&store, set_qty);
    assert_eq!(heard.load(Ordering::Relaxed), 100_000);
    took
}

pub(crate) fn content() -> f64 {
    let store = filled(100_000);
    timed(|| store.content())
}

pub(crate) fn set_content() -> f64 {
    let content = filled(100_000).content();
    let store = Store::new();
    timed(|| store.set_content(&content))
}

pub(crate) fn json() -> f64 {
    let store = filled(100_000);
    timed(|| store.json())
}

pub(crate) fn set_json() -> f64 {
    let json = filled(100_000).json();
    let store = Store::new();
    timed(|| store.set_json(&json))
}

pub(crate) fn apply_1() -> f64 {
    transactions(&filled(1000), |store, row, qty| {
        let mut changes = Changes::new();
        changes.set_cell(TABLE, row, "qty", qty.into());
        store.apply_changes(&changes)
    })
}

pub(crate) fn apply_1000() -> f64 {
    let store = filled(100_000);
    let message = |n: u32| {
        let mut changes = Changes::new();
        (0..1000).for_each(|i| changes.set_cell(TABLE, format!("r{}", i * 97), "qty", (1000 + n * 1000 + i).into()));
        changes.to_json()
    };
    let messages: Vec<_> = (0..100).map(message).collect();
    let took = timed(|| {
        for message in &messages {
            let changes = Changes::from_json(message).expect("changes").value;
            store.apply_changes(&changes).expect("changes that can be taken");
        }
    });
    took / 100.0
}

/// By how much this process grows for each of a million cells.
pub(crate) fn memory_per_cell() -> f64 {
    const ROWS: u32 = 200_000;
    // What the first use of everything takes is none of the data's.
    drop(filled(10));
    let before = resident();
    let store = filled(ROWS);
    let grown = resident() - before;
    drop::<(Store, Content)>((store, Content::new()));
    grown / f64::from(ROWS * 5)
}

/// Microseconds for each of 100,000 transactions of one cell on 1,000 rows.
fn transactions(store: &Store, write: impl Fn(&Store, &str, u32) -> Result<(), Error>) -> f64 {
    let rows = ids(1000);
    let took = timed(|| {
        for (i, row) in (0..100_000).zip(rows.iter().cycle()) {
            write(store, row, 1000 + i).expect("a cell that can be taken");
        }
    });
    took / 100.0
}

fn set_qty(store: &Store, row: &str, qty: u32) -> Result<(), Error> {
    store.set_cell(TABLE, row, "qty", qty)
}

/// Milliseconds for `run`, without the drop of what it returns.
fn timed<T>(run: impl FnOnce() -> T) -> f64 {
    let start = Instant::now();
    let result = black_box(run());
    let took = start.elapsed();
    drop(result);
    took.as_secs_f64() * 1000.0
}

/// Resident bytes of this process.
fn resident() -> f64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux, where a process can tell its size");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line with the resident size");
    let kilobytes: f64 = line.split_whitespace().nth(1).and_then(|size| size.parse().ok()).expect("a size in kB");
    kilobytes * 1024.0
}
