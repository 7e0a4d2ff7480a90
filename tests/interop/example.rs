//! The main job: the example in a room with a stock client, on whoever's server.

use std::process::{Command, Output, Stdio};

use serde_json::json;

use crate::{every::on_every_server, rig::Rig};

on_every_server! {
    the_sync_example_shares_a_room_with_a_stock_client
}

async fn the_sync_example_shares_a_room_with_a_stock_client(rig: Rig) {
    let room = rig.room();
    let page = rig.writer(&room).await;
    page.edit(json!([["setCell", "pets", "polly", "species", "parrot"]])).await;
    page.join().await;

    let (host, name) = (room.host.clone(), room.name.clone());
    let output = tokio::task::spawn_blocking(move || example(&host, &name)).await.expect("the example can be run");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(text.matches("parrot").count(), 3, "both stores and the room show the page's edit:\n{text}");
    assert_eq!(text.lines().last(), Some("equal"), "{text}");

    let pets = json!({"polly": {"species": "parrot"}, "fido": {"species": "dog"}, "felix": {"species": "cat"}});
    rig.all_hold(&room, [&page], &json!([{"pets": pets}, {}])).await;
    page.edit(json!([["delRow", "pets", "fido"], ["setCell", "pets", "felix", "sold", true]])).await;
    let pets = json!({"polly": {"species": "parrot"}, "felix": {"species": "cat", "sold": true}});
    rig.until(&room, &json!([{"pets": pets}, {}])).await;
}

fn example(host: &str, room: &str) -> Output {
    Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--locked", "--example", "sync", "--", "--host", host, "--room", room])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .output()
        .expect("cargo can be run")
}
