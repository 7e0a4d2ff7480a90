//! The originals among themselves: what the rig must show before it is worth anything.

use serde_json::json;

use crate::rig::{Direction, Rig, Server};

#[tokio::test]
async fn two_stock_clients_in_a_room_of_the_stock_server_see_each_other() {
    let Some(rig) = Rig::new("two stock clients", Server::PartyKit, Direction::JS_TO_JS) else { return };
    let room = rig.room();
    let one = rig.js(&room).await;
    one.store("setCell", json!(["pets", "fido", "species", "dog"])).await;
    one.persister("startAutoPersisting", json!([])).await;

    let two = rig.js(&room).await;
    two.persister("startAutoPersisting", json!([])).await;
    two.until(&json!([{"pets": {"fido": {"species": "dog"}}}, {}])).await;

    two.store("setValue", json!(["open", {"from": "nine"}])).await;
    let content = json!([{"pets": {"fido": {"species": "dog"}}}, {"open": "\u{FFFD}{\"from\":\"nine\"}"}]);
    one.until(&content).await;
    rig.until(&room, &content).await;
    assert_eq!(one.errors().await, json!([]));
    assert_eq!(two.errors().await, json!([]));
}
