//! The store alone. `cargo run --release --example store_vs_tinybase` sets it beside the original.

#![allow(missing_docs, reason = "criterion's macro makes a public function")]

use std::{
    hint::black_box,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use roommate::{Changes, Content, Error, Store};

#[path = "../examples/store_vs_tinybase/data.rs"]
mod data;

use data::{TABLE, filled, ids, item};

/// A transaction costs what it touches, however many rows there are.
fn transactions(criterion: &mut Criterion) {
    for rows in [1_000, 100_000, 1_000_000] {
        let store = filled(rows);
        // A thousand of them, wherever they lie.
        let ids: Vec<_> = ids(rows).into_iter().step_by(rows as usize / 1000).collect();
        let mut n = 0_u32;
        let mut group = criterion.benchmark_group("transaction");
        group.bench_function(BenchmarkId::new("set_cell", rows), |bencher| {
            bencher.iter(|| {
                n += 1;
                store.set_cell(TABLE, &*ids[n as usize % 1000], "qty", n).expect("a cell that can be taken");
            });
        });
        group.bench_function(BenchmarkId::new("100 set_cell, rolled back", rows), |bencher| {
            bencher.iter(|| {
                let rolled_back = store.transaction_or_rollback(
                    |store| {
                        (0..100).try_for_each(|i| {
                            n += 1;
                            store.set_cell(TABLE, &*ids[i * 10], "qty", n)
                        })
                    },
                    |_| true,
                );
                rolled_back.expect("cells that can be taken");
            });
        });
        group.bench_function(BenchmarkId::new("add and delete a row", rows), |bencher| {
            bencher.iter(|| {
                n += 1;
                store.set_row(TABLE, "new", [("qty", n), ("price", 1)]).expect("a row that can be taken");
                store.del_row(TABLE, "new").expect("a row that can go");
            });
        });
        group.bench_function(BenchmarkId::new("read a cell", rows), |bencher| {
            bencher.iter(|| {
                n += 1;
                black_box(store.cell(TABLE, &ids[n as usize % 1000], "qty"))
            });
        });
        group.bench_function(BenchmarkId::new("set_cell after content", rows), |bencher| {
            bencher.iter_batched(
                || store.content(),
                |content| {
                    n += 1;
                    store.set_cell(TABLE, &*ids[n as usize % 1000], "qty", n).expect("a cell that can be taken");
                    content
                },
                BatchSize::PerIteration,
            );
        });
        group.finish();
    }
}

fn contents(criterion: &mut Criterion) {
    let store = filled(100_000);
    let json = store.json();
    let content = store.content();
    criterion.bench_function("content of 100,000 rows", |bencher| bencher.iter_with_large_drop(|| store.content()));
    criterion.bench_function("json of 100,000 rows", |bencher| bencher.iter_with_large_drop(|| store.json()));
    criterion.bench_function("parse 100,000 rows", |bencher| {
        bencher.iter_with_large_drop(|| Content::from_json(&json).expect("a content"));
    });
    criterion.bench_function("set_content of 100,000 rows", |bencher| {
        bencher.iter_with_large_drop(|| {
            let store = Store::new();
            store.set_content(&content).expect("a content that can be taken");
            store
        });
    });
    let mut changes = Changes::new();
    (0..1000).for_each(|i| changes.set_cell(TABLE, format!("r{}", i * 97), "qty", i.into()));
    let text = changes.to_json();
    criterion.bench_function("parse 1,000 changes", |bencher| bencher.iter(|| Changes::from_json(&text)));
}

/// What a room holds: a change costs what it touches, however many cells there are. Rows have five cells.
fn room(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("content");
    for cells in [1_000, 10_000, 100_000] {
        let rows = cells / 5;
        let json = filled(rows).json();
        // Not a clone, whose first write to a chunk copies it.
        let content = || Content::from_json(&json).expect("a content").value;
        let deletions: Vec<_> = scattered(rows).map(|i| row(i, |changes, id| changes.del_row(TABLE, id))).collect();
        group.bench_function(BenchmarkId::new("delete a row", cells), |bencher| {
            bencher.iter_custom(|count| {
                let (mut left, mut time) = (count as usize, Duration::ZERO);
                while left > 0 {
                    let some = &deletions[..left.min(deletions.len())];
                    let mut content = content();
                    let began = Instant::now();
                    some.iter().for_each(|deletion| content.apply(deletion));
                    time += began.elapsed();
                    left -= some.len();
                }
                time
            });
        });
        let (mut full, mut n) = (content(), 0);
        let additions: Vec<_> = scattered(rows).map(|i| row(i, set_item)).collect();
        group.bench_function(BenchmarkId::new("delete a row and add it", cells), |bencher| {
            bencher.iter(|| {
                n = (n + 1) % deletions.len();
                full.apply(&deletions[n]);
                full.apply(&additions[n]);
            });
        });
        let mut full = content();
        let ones: Vec<_> = scattered(rows).map(|i| row(i, |changes, id| set_qty(changes, id, i))).collect();
        group.bench_function(BenchmarkId::new("set a cell", cells), |bencher| {
            bencher.iter(|| {
                n = (n + 1) % ones.len();
                full.apply(&ones[n]);
            });
        });
    }
    let store = filled(20_000);
    let json = store.json();
    let many = |n: u32, set: fn(&mut Changes, String, u32)| {
        let mut changes = Changes::new();
        (0..1000).for_each(|i| set(&mut changes, format!("r{}", i * 19), i + n));
        changes
    };
    let whole = |changes: &mut Changes, id: String, i: u32| {
        item(i).into_iter().for_each(|(cell_id, cell)| changes.set_cell(TABLE, &*id, cell_id, cell));
    };
    for (name, set) in [("1,000 cells", set_qty as fn(&mut Changes, String, u32)), ("1,000 rows of five", whole)] {
        let changes = [many(1, set), many(2, set)];
        let (mut content, mut n) = (Content::from_json(&json).expect("a content").value, 0);
        group.bench_function(format!("set {name} of 100,000"), |bencher| {
            bencher.iter(|| {
                n += 1;
                content.apply(&changes[n % 2]);
            });
        });
        group.bench_function(format!("set {name} of 100,000 in a store"), |bencher| {
            bencher.iter(|| {
                n += 1;
                store.apply_changes(&changes[n % 2]).expect("cells that can be taken");
            });
        });
    }
    let content = store.content();
    let changes = Changes::from(&content);
    group.bench_function("json of 100,000 cells", |bencher| bencher.iter(|| content.to_json()));
    group.bench_function("parse 100,000 cells", |bencher| {
        bencher.iter_with_large_drop(|| Content::from_json(&json).expect("a content"));
    });
    group.bench_function("changes that make 100,000 cells", |bencher| {
        bencher.iter_with_large_drop(|| Changes::from(&content));
    });
    group.bench_function("make 100,000 cells by changes", |bencher| {
        bencher.iter_with_large_drop(|| {
            let mut content = Content::new();
            content.apply(&changes);
            content
        });
    });
    group.finish();
}

/// All numbers below `count`, which is no multiple of the step, far from the one before.
fn scattered(count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(move |i| (u64::from(i) * 7919 % u64::from(count)) as u32)
}

fn row(i: u32, change: impl Fn(&mut Changes, String)) -> Changes {
    let mut changes = Changes::new();
    change(&mut changes, format!("r{i}"));
    changes
}

fn set_qty(changes: &mut Changes, id: String, n: u32) {
    changes.set_cell(TABLE, id, "qty", (n + 5000).into());
}

fn set_item(changes: &mut Changes, id: String) {
    item(7).into_iter().for_each(|(cell_id, cell)| changes.set_cell(TABLE, &*id, cell_id, cell));
}

/// What a reader waits for beside a writer, and a writer beside readers.
fn threads(criterion: &mut Criterion) {
    let store = filled(100_000);
    let ids = ids(1000);
    let mut group = criterion.benchmark_group("beside another thread");
    let mut n = 0_u32;
    let set = |store: &Store, n: u32| store.set_cell(TABLE, &*ids[n as usize % 1000], "qty", n);

    beside(
        || drop(set(&store, another_number())),
        || {
            group.bench_function("read a cell while one writes", |bencher| {
                bencher.iter(|| store.cell(TABLE, "r500", "qty"));
            });
        },
    );
    beside(
        || drop(black_box(store.cell(TABLE, "r500", "qty"))),
        || {
            group.bench_function("set_cell while one reads cells", |bencher| {
                bencher.iter(|| {
                    n += 1;
                    set(&store, n).expect("a cell that can be taken");
                });
            });
        },
    );
    beside(
        || drop(black_box(store.content())),
        || {
            group.bench_function("set_cell while one copies the content", |bencher| {
                bencher.iter(|| {
                    n += 1;
                    set(&store, n).expect("a cell that can be taken");
                });
            });
        },
    );
    let long = || {
        let body = |store: &Store| {
            let until = Instant::now() + Duration::from_millis(100);
            while Instant::now() < until {
                set(store, another_number())?;
            }
            Ok::<_, Error>(())
        };
        store.transaction(body).expect("cells that can be taken");
    };
    beside(long, || {
        group.bench_function("read a cell inside another's long transaction", |bencher| {
            bencher.iter(|| store.cell(TABLE, "r500", "qty"));
        });
        group.bench_function("read the content inside another's long transaction", |bencher| {
            bencher.iter(|| store.content());
        });
    });
    group.finish();
}

/// Runs `measure` while another thread does `work` again and again.
fn beside(work: impl Fn() + Sync, measure: impl FnOnce()) {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                work();
            }
        });
        measure();
        done.store(true, Ordering::Relaxed);
    });
}

/// Any number, and rarely the last one again.
fn another_number() -> u32 {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(1);
    NEXT.fetch_add(0x9E37_79B1, Ordering::Relaxed) % 1_000_000
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(2));
    targets = transactions, contents, room, threads
}
criterion_main!(benches);
