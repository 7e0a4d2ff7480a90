//! `roommate serve` is killed at random moments while our clients and stock ones write as fast as they can, and comes back:
//! `cargo test --test crashes -- --kills 200`.

#![allow(dead_code, reason = "what the tests share is more than each of them needs")]

use std::{
    env,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

#[path = "support/child.rs"]
mod child;
#[path = "support/client.rs"]
mod client;
#[path = "support/content.rs"]
mod content;
#[path = "support/js.rs"]
mod js;
#[path = "support/npm.rs"]
mod npm;
#[path = "support/serve.rs"]
mod serve;
#[path = "support/texts.rs"]
mod texts;
#[path = "support/until.rs"]
mod until;

#[path = "crashes/authors.rs"]
mod authors;
#[path = "crashes/ledger.rs"]
mod ledger;

use authors::{Authors, ROOM};
use js::Js;
use ledger::Ledger;
use serve::Serve;

const NAME: &str = "r6_r7_a_killed_server_has_all_that_anybody_received_and_each_of_our_edits_once";

/// After how many kills everybody pauses and is held to the same content.
const PAUSE: u64 = 5;

fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    match &args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--list", ..] => println!("{NAME}: test"),
        ["--kills", kills] => run(kills.parse().expect("a number of kills")),
        [filter, ..] if !filter.starts_with('-') && !NAME.contains(filter) => {}
        _ => run(25),
    }
}

fn run(kills: u64) {
    let Some(originals) = npm::originals(NAME) else { return };
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later").as_nanos() as u64;
    println!("test {NAME}: {kills} kills, seed {seed}");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(crash(originals, kills, seed));
}

async fn crash(originals: &'static Path, kills: u64, mut random: u64) {
    let folder = tempfile::tempdir().expect("a folder for the rooms");
    let data = folder.path().join("rooms.db");
    let mut serve = Serve::on(originals, "127.0.0.1:0", &data, &[]);
    let host = serve.host.clone();
    // Lives as long as the process, as clients hold it.
    let js: &'static Js = Box::leak(Box::new(Js::start(originals)));
    assert_eq!(js.http(&host, "PUT", &format!("/parties/main/{ROOM}/store"), "[{},{}]").await.status, 201);
    let mut authors = Authors::join(js, &host).await;
    let mut ledger = Ledger::default();
    authors.write().await;
    let mut busy = 0;
    for kill in 1..=kills {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Some of it goes by while clients connect.
        tokio::time::sleep(Duration::from_micros(50_000 + (random >> 33) % 300_000)).await;
        tokio::task::spawn_blocking(|| serve.kill()).await.expect("it is killed");
        busy += u64::from(ledger.take(&data, folder.path()) > 0);
        authors.check(&ledger).await;
        serve = Serve::on(originals, &host, &data, &[]);
        if kill % PAUSE == 0 || kill == kills {
            authors.stop().await;
            authors.settle(js, &host).await;
            if kill < kills {
                authors.write().await;
            }
        }
    }
    serve.kill();
    ledger.take(&data, folder.path());
    authors.check(&ledger).await;
    authors.end(&ledger).await;
    assert!(busy * 2 > kills, "only {busy} of {kills} servers were killed at work");
    println!("ok: {ledger}; {busy} of {kills} servers had stored something");
}
