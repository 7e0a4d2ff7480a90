//! What our server does for stock clients.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    content::canonical,
    every::on_our_server,
    js::{JsClient, PATIENCE},
    proxy::{Asks, Proxy},
    rig::{Rig, Room},
};

on_our_server! {
    what_is_refused_is_answered_with_what_holds
    the_first_content_is_told_to_those_who_are_there
    what_was_written_while_away_is_kept_and_what_was_missed_is_told
    a_change_makes_the_store_that_a_failed_request_did_not
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
    away.proxy.kill().await;
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

/// What a frame says.
fn parsed(frame: &str) -> Value {
    crate::content::parse(frame.strip_prefix('s').expect("a stock frame"))
}
