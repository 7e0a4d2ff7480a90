//! Stock clients in a room, and the program that hosts it.

use futures_util::StreamExt;
use roommate::{Changes, Content};
use roommate_server::Import;
use serde_json::json;

use crate::{every::on_our_server, rig::Rig};

on_our_server! {
    a_page_and_a_store_in_the_servers_process_see_each_others_edits
    a_page_sees_what_the_server_edits_and_restores
    a_page_finds_a_room_that_was_imported
}

async fn a_page_and_a_store_in_the_servers_process_see_each_others_edits(rig: Rig) {
    let room = rig.room();
    let store = rig.hosted(&room).store().await.expect("the room can be had");
    store.set_cell("pets", "fido", "species", "dog").expect("it may be set");
    store.flush().await.expect("it is stored");
    let page = rig.join(&room).await;
    page.until(&json!([{"pets": {"fido": {"species": "dog"}}}, {}])).await;
    page.transaction(json!([["setCell", "pets", "felix", "species", "cat"], ["setValue", "open", true]])).await;
    let mut changes = store.changes();
    while !store.has_value("open") {
        changes.next().await;
    }
    // Both at once, on the same cells.
    for age in 0..20 {
        store.set_cell("pets", "fido", "age", age).expect("it may be set");
        page.transaction(json!([["setCell", "pets", "fido", "age", 100 + age]])).await;
    }
    page.transaction(json!([["setValue", "done", true]])).await;
    store.flush().await.expect("it is stored");
    while !store.has_value("done") {
        changes.next().await;
    }
    let content: serde_json::Value = serde_json::from_str(&store.json()).expect("it is JSON");
    page.until(&content).await;
    rig.until(&room, &content).await;
    store.close().await;
}

async fn a_page_sees_what_the_server_edits_and_restores(rig: Rig) {
    let room = rig.room();
    let hosted = rig.hosted(&room);
    let page = rig.join(&room).await;
    page.transaction(json!([["setCell", "pets", "fido", "age", 4]])).await;
    let before = json!([{"pets": {"fido": {"age": 4}}}, {}]);
    rig.until(&room, &before).await;
    let good = hosted.history(0, 100).await.expect("it can be read").last().expect("the page has edited").seq;

    let mut changes = Changes::new();
    changes.del_table("pets");
    changes.set_value("closed", true.into());
    hosted.apply(changes).await.expect("it is stored");
    page.until(&json!([{}, {"closed": true}])).await;
    hosted.restore_to(good).await.expect("it is kept");
    page.until(&before).await;
    hosted.replace(Content::new()).await.expect("it is stored");
    page.until(&json!([{}, {}])).await;
}

async fn a_page_finds_a_room_that_was_imported(rig: Rig) {
    let room = rig.room();
    let storage = r#"{"hasStore":1,"t\"pets\",\"fido\",\"tags\"":"\uFFFD[\"good\"]","vopen":true}"#;
    let import = Import::from_json(storage).expect("it is a storage");
    rig.hosted(&room).import_content(import.content).await.expect("the room is empty");
    let page = rig.join(&room).await;
    page.until(&json!([{"pets": {"fido": {"tags": "\u{FFFD}[\"good\"]"}}}, {"open": true}])).await;
}
