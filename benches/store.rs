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

use data::{TABLE, filled, ids};

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
    targets = transactions, contents, threads
}
criterion_main!(benches);
