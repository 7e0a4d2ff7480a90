//! What becomes of edits while the connection is bad: the writer is a Rust client behind a proxy, the reader any.

use serde_json::{Map, json};

use crate::{
    every::with_a_rust_writer,
    peer::Peer,
    proxy::Proxy,
    rig::{Rig, Room},
};

with_a_rust_writer! {
    edits_of_both_sides_survive_a_cut
    edits_made_before_the_room_can_be_reached_arrive
    a_connection_that_is_cut_again_and_again_loses_nothing
    a_first_content_that_is_cut_on_its_way_arrives
    what_was_deleted_meanwhile_is_gone_on_return
}

async fn edits_of_both_sides_survive_a_cut(rig: Rig) {
    let (room, proxy, writer, reader) = joined(&rig).await;
    writer.edit(json!([["setCell", "t", "r", "c", 1], ["setCell", "t", "old", "c", 1]])).await;
    reader.until(&json!([{"t": {"r": {"c": 1}, "old": {"c": 1}}}, {}])).await;

    cut(&proxy).await;
    writer.edit(json!([["setCell", "t", "r", "c", 2], ["delRow", "t", "old"]])).await;
    writer.edit(json!([["setValue", "writer", "while away"]])).await;
    reader.edit(json!([["setCell", "t", "r", "d", 3], ["setValue", "reader", "meanwhile"]])).await;
    rig.until_some(&room, |content| content[1]["reader"] == "meanwhile").await;
    writer.until(&json!([{"t": {"r": {"c": 2}}}, {"writer": "while away"}])).await;
    proxy.accept().await;

    let content = json!([{"t": {"r": {"c": 2, "d": 3}}}, {"writer": "while away", "reader": "meanwhile"}]);
    rig.all_hold(&room, [&writer, &reader], &content).await;
}

async fn edits_made_before_the_room_can_be_reached_arrive(rig: Rig) {
    let room = rig.room();
    let reader = rig.reader(&room).await;
    reader.edit(json!([["setValue", "reader", "was first"]])).await;
    reader.join().await;

    let proxy = Proxy::start(&room.host).await;
    cut(&proxy).await;
    let writer = rig.writer(&Room { host: proxy.host(), ..room.clone() }).await;
    let joining = async {
        writer.join().await;
    };
    let meanwhile = async {
        writer.edit(json!([["setCell", "t", "r", "c", 1]])).await;
        writer.edit(json!([["setCell", "t", "r", "c", 2]])).await;
        proxy.accept().await;
    };
    tokio::join!(joining, meanwhile);

    let content = json!([{"t": {"r": {"c": 2}}}, {"reader": "was first"}]);
    rig.all_hold(&room, [&writer, &reader], &content).await;
}

async fn a_connection_that_is_cut_again_and_again_loses_nothing(rig: Rig) {
    let (room, proxy, writer, reader) = joined(&rig).await;
    let mut log = Map::new();
    for count in 0..60 {
        writer.edit(json!([["setCell", "log", "row", count.to_string(), count], ["setValue", "count", count]])).await;
        log.insert(count.to_string(), count.into());
        match count % 6 {
            3 => cut(&proxy).await,
            5 => proxy.accept().await,
            // Lets some of it get under way.
            _ => tokio::task::yield_now().await,
        }
        if count % 12 == 0 {
            rig.content(&room).await;
        }
    }
    rig.all_hold(&room, [&writer, &reader], &json!([{"log": {"row": log}}, {"count": 59}])).await;
}

async fn a_first_content_that_is_cut_on_its_way_arrives(rig: Rig) {
    let room = rig.room();
    let row: Map<_, _> = (0..5000).map(|cell| (format!("c{cell}"), json!(format!("{cell}").repeat(20)))).collect();
    let proxy = Proxy::start(&room.host).await;
    let writer = rig.writer(&Room { host: proxy.host(), ..room.clone() }).await;
    writer.edit(json!([["setRow", "t", "r", row]])).await;
    let cutting = async {
        for _ in 0..20 {
            rig.content(&room).await;
            proxy.kill().await;
        }
    };
    tokio::join!(writer.join(), cutting);

    let reader = rig.reader(&room).await;
    reader.join().await;
    rig.all_hold(&room, [&writer, &reader], &json!([{"t": {"r": row}}, {}])).await;
}

async fn what_was_deleted_meanwhile_is_gone_on_return(rig: Rig) {
    let (room, proxy, writer, reader) = joined(&rig).await;
    let tables = json!({"t": {"r": {"c": 1, "d": 2}, "s": {"c": 3}}, "u": {"r": {"c": 4}}});
    writer.edit(json!([["setTables", tables], ["setValues", {"v": 5, "w": 6}]])).await;
    reader.until(&json!([tables, {"v": 5, "w": 6}])).await;

    cut(&proxy).await;
    reader.edit(json!([["delCell", "t", "r", "d"], ["delRow", "t", "s"], ["delTable", "u"], ["delValue", "w"]])).await;
    let content = json!([{"t": {"r": {"c": 1}}}, {"v": 5}]);
    rig.until(&room, &content).await;
    proxy.accept().await;
    rig.all_hold(&room, [&writer, &reader], &content).await;
}

/// A writer behind a proxy and a reader that load from and save to a room.
async fn joined(rig: &Rig) -> (Room, Proxy, Peer, Peer) {
    let room = rig.room();
    let proxy = Proxy::start(&room.host).await;
    let writer = rig.writer(&Room { host: proxy.host(), ..room.clone() }).await;
    writer.join().await;
    let reader = rig.reader(&room).await;
    reader.join().await;
    (room, proxy, writer, reader)
}

/// Ends every connection where it stands, and refuses new ones.
async fn cut(proxy: &Proxy) {
    proxy.refuse().await;
    proxy.kill().await;
}
