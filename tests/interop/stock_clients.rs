//! Stock clients on our server, far away from it: they end equal.
//!
//! Each client is behind a proxy of its own, which lets every chunk wait for as long as it waits there. `ROOMS=100` tells
//! each story in as many rooms; else there are ten.

use std::{
    env,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    content::canonical,
    every::on_our_server,
    js::{JsClient, PATIENCE},
    proxy::{Asks, Proxy},
    rig::{Rig, Room},
};

on_our_server! {
    simultaneous_edits_end_equal
    edits_with_disconnections_end_equal
    clients_that_join_a_new_room_at_once_with_different_content_end_equal
    what_is_refused_is_answered_with_what_holds
    the_first_content_is_told_to_those_who_are_there
    what_was_written_while_away_is_kept_and_what_was_missed_is_told
    a_change_makes_the_store_that_a_failed_request_did_not
}

mod on_our_stock_server {
    use super as stories;
    crate::every::tests!(StockRoommate, JS_TO_JS, without_the_cures_simultaneous_edits_end_apart);
}

/// How many clients a room has, and how long their chunks wait.
const DELAYS: [u64; 3] = [3, 17, 41];

async fn simultaneous_edits_end_equal(rig: Rig) {
    in_many_rooms(&rig, async |rig, room, seed| {
        let clients = edit_at_once(rig, &room, seed).await;
        end_equal(rig, &room, &clients).await;
    })
    .await;
}

/// The control, without which the others prove nothing.
async fn without_the_cures_simultaneous_edits_end_apart(rig: Rig) {
    let apart = AtomicUsize::new(0);
    in_many_rooms(&rig, async |rig, room, seed| {
        let clients = edit_at_once(rig, &room, seed).await;
        let held = at_rest(rig, &room, &clients).await;
        for client in &clients {
            client.js.ping().await;
            if client.js.content().await != held {
                apart.fetch_add(1, Ordering::Relaxed);
                break;
            }
        }
    })
    .await;
    let apart = apart.into_inner();
    assert!(apart > rooms() / 2, "{apart} of {} rooms are apart", rooms());
}

async fn edits_with_disconnections_end_equal(rig: Rig) {
    in_many_rooms(&rig, async |rig, room, seed| {
        rig.put(&room, &json!([{}, {}])).await;
        let clients = clients(rig, &room).await;
        join_all(clients.iter().map(Client::join)).await;
        let writing = clients.iter().enumerate().map(async |(number, client)| {
            let mut random = Random(seed * 64 + number as u64);
            for edit in 0..12 {
                client.js.transaction(random.edits(&format!("{number}.{edit}"))).await;
                if random.below(4) == 0 {
                    client.proxy.kill();
                }
                random.pause().await;
            }
        });
        join_all(writing).await;
        end_equal(rig, &room, &clients).await;
    })
    .await;
}

async fn clients_that_join_a_new_room_at_once_with_different_content_end_equal(rig: Rig) {
    in_many_rooms(&rig, async |rig, room, seed| {
        let clients = clients(rig, &room).await;
        for (number, client) in clients.iter().enumerate() {
            let mut random = Random(seed * 64 + number as u64);
            client.js.transaction(random.edits(&format!("{number}"))).await;
            client.js.store("setCell", json!(["own", number.to_string(), "c", number])).await;
        }
        let joining = clients.iter().enumerate().map(async |(number, client)| {
            let mut random = Random(seed * 64 + 32 + number as u64);
            random.pause().await;
            client.join().await;
            client.js.transaction(random.edits(&format!("{number} later"))).await;
        });
        join_all(joining).await;
        end_equal(rig, &room, &clients).await;
    })
    .await;
}

async fn what_is_refused_is_answered_with_what_holds(rig: Rig) {
    let room = rig.room_of("guarded");
    let held = json!([{"t": {"r": {"c": 1, "kept": 1}, "kept": {"c": 1}}, "kept": {"r": {"c": 1}}}, {"kept": 1}]);
    rig.put(&room, &held).await;
    let client = rig.join(&room).await;
    client.until(&held).await;
    client.transaction(json!([["delTable", "kept"], ["delRow", "t", "kept"], ["delValue", "kept"]])).await;
    client.transaction(json!([["setCell", "t", "r", "secret", 1], ["setCell", "t", "r", "d", 1]])).await;
    client.transaction(json!([["setCell", "secret", "r", "c", 1], ["setValue", "secret", 1]])).await;
    client.store("delCell", json!(["t", "r", "kept", true])).await;
    let mut held = held;
    held[0]["t"]["r"]["d"] = 1.into();
    client.until(&held).await;
    rig.until(&room, &held).await;
    client.store("setValue", json!(["explode", 1])).await;
    client.until(&held).await;
    // Half an emoji.
    client.socket("send", json!(["s[{},{\"half\":\"\\ud83d\"},1]"])).await;
    let deadline = Instant::now() + PATIENCE;
    // What is not known here is answered by everything.
    while client.frames().await.last().is_none_or(|frame| parsed(frame) != canonical(held.clone())) {
        assert!(Instant::now() < deadline, "{:?}", client.frames().await);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn the_first_content_is_told_to_those_who_are_there(rig: Rig) {
    let room = rig.room();
    let viewer = rig.js(&room).await;
    viewer.persister("startAutoLoad", json!([])).await;
    let content = json!([{"t": {"r": {"c": 1}}}, {"v": 1}]);
    assert_eq!(rig.put(&room, &content).await.status, 201);
    viewer.until(&content).await;
}

async fn what_was_written_while_away_is_kept_and_what_was_missed_is_told(rig: Rig) {
    let room = rig.room();
    rig.put(&room, &json!([{}, {"mine": 0, "yours": 0, "gone": 0}])).await;
    let away = Client::open(&rig, &room, 5).await;
    away.join().await;
    let other = rig.join(&room).await;

    away.proxy.refuse().await;
    away.proxy.kill();
    away.js.until_closed().await;
    away.js.store("setValue", json!(["mine", 1])).await;
    other.transaction(json!([["setValue", "yours", 1], ["delValue", "gone"]])).await;
    rig.until(&room, &json!([{}, {"mine": 0, "yours": 1}])).await;
    away.proxy.accept().await;

    let content = json!([{}, {"mine": 1, "yours": 1}]);
    away.js.until(&content).await;
    other.until(&content).await;
    rig.until(&room, &content).await;
}

async fn a_change_makes_the_store_that_a_failed_request_did_not(rig: Rig) {
    let room = rig.room();
    let client = Client::open(&rig, &room, 1).await;
    client.proxy.answer(Asks::Get, 1, "");
    client.proxy.answer(Asks::Put, 1, "");
    client.join().await;
    client.js.store("setValue", json!(["v", 1])).await;
    rig.until(&room, &json!([{}, {"v": 1}])).await;

    let later = rig.js(&room).await;
    later.store("setValue", json!(["w", 2])).await;
    later.persister("startAutoPersisting", json!([])).await;
    later.until(&json!([{}, {"v": 1}])).await;
    client.js.until(&json!([{}, {"v": 1}])).await;
}

/// Tells a story in as many rooms as there are to be, side by side.
async fn in_many_rooms(rig: &Rig, story: impl AsyncFn(&Rig, Room, u64)) {
    let numbers: Vec<u64> = (0..rooms() as u64).collect();
    for some in numbers.chunks(10) {
        join_all(some.iter().map(|number| {
            let room = rig.room();
            story(rig, Room { name: format!("{}-{number}", room.name), ..room }, *number)
        }))
        .await;
    }
}

fn rooms() -> usize {
    env::var("ROOMS").map_or(10, |rooms| rooms.parse().expect("ROOMS is a number"))
}

/// A stock client behind a proxy.
#[derive(Debug)]
struct Client {
    js: JsClient,
    proxy: Proxy,
}

impl Client {
    async fn open(rig: &Rig, room: &Room, delay: u64) -> Self {
        let proxy = Proxy::start(room.host.clone()).await;
        for lane in [&proxy.http, &proxy.sockets] {
            for gate in [&lane.to_server, &lane.to_client] {
                gate.delay(Duration::from_millis(delay));
            }
        }
        let js = rig.js(&Room { host: proxy.host(), ..room.clone() }).await;
        Self { js, proxy }
    }

    async fn join(&self) {
        self.js.persister("startAutoLoad", json!([])).await;
        self.js.persister("startAutoSave", json!([])).await;
    }
}

async fn clients(rig: &Rig, room: &Room) -> Vec<Client> {
    join_all(DELAYS.map(|delay| Client::open(rig, room, delay))).await
}

/// Three clients that are in a room, and all wrote in it as fast as they could.
async fn edit_at_once(rig: &Rig, room: &Room, seed: u64) -> Vec<Client> {
    rig.put(room, &json!([{}, {}])).await;
    let clients = clients(rig, room).await;
    join_all(clients.iter().map(Client::join)).await;
    let writing = clients.iter().enumerate().map(async |(number, client)| {
        let mut random = Random(seed * 64 + number as u64);
        for edit in 0..8 {
            client.js.transaction(random.edits(&format!("{number}.{edit}"))).await;
            random.pause().await;
        }
    });
    join_all(writing).await;
    clients
}

/// Waits until all that the clients did has come to rest, and holds them to what the room holds.
async fn end_equal(rig: &Rig, room: &Room, clients: &[Client]) {
    let held = at_rest(rig, room, clients).await;
    for client in clients {
        client.js.until(&held).await;
    }
    assert_eq!(rig.content(room).await, Some(held));
}

/// What the room holds when it has heard all that the clients did.
async fn at_rest(rig: &Rig, room: &Room, clients: &[Client]) -> Value {
    join_all(clients.iter().enumerate().map(async |(number, client)| {
        // What each says last, behind everything else that it says; once more, if a connection that broke swallowed it.
        let last = format!("last {number}");
        for attempt in 1.. {
            let said = format!("attempt {attempt}");
            client.js.store("setValue", json!([last, said])).await;
            let deadline = Instant::now() + PATIENCE / 10;
            while Instant::now() < deadline {
                if rig.content(room).await.is_some_and(|held| held[1][&last] == *said) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert!(attempt < 10, "client {number} is not heard");
        }
    }))
    .await;
    rig.content(room).await.expect("a store")
}

/// Numbers that look random and are the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    async fn pause(&mut self) {
        tokio::time::sleep(Duration::from_millis(self.below(40))).await;
    }

    /// A transaction on two tables, rows, cells and values.
    fn edits(&mut self, text: &str) -> Value {
        let edits = (0..=self.below(2)).map(|_| {
            let (table, row) = (format!("t{}", self.below(2)), format!("r{}", self.below(2)));
            let (cell, value) = (format!("c{}", self.below(2)), format!("v{}", self.below(2)));
            match self.below(10) {
                0 => json!(["delTable", table]),
                1 => json!(["delRow", table, row]),
                2 => json!(["delCell", table, row, cell]),
                3 => json!(["delValue", value]),
                4 | 5 => json!(["setValue", value, text]),
                6 => json!(["setRow", table, row, { cell: text }]),
                _ => json!(["setCell", table, row, cell, text]),
            }
        });
        Value::from_iter(edits)
    }
}

/// What a frame says.
fn parsed(frame: &str) -> Value {
    crate::content::parse(frame.strip_prefix('s').expect("a stock frame"))
}
