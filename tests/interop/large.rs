//! A large room.

use serde_json::{Map, json};

use crate::{every::across_languages, peer::no_errors, rig::Rig};

across_languages! {
    a_room_of_100_000_cells_is_joined_and_changed
}

async fn a_room_of_100_000_cells_is_joined_and_changed(rig: Rig) {
    let room = rig.room();
    let mut table = Map::new();
    for row in 0..10_000 {
        let cells: Map<_, _> = (0..10).map(|cell| (format!("c{cell}"), json!(row * 10 + cell))).collect();
        table.insert(format!("r{row}"), cells.into());
    }
    let writer = rig.writer(&room).await;
    writer.edit(json!([["setTable", "t", table]])).await;
    writer.join().await;
    let reader = rig.reader(&room).await;
    reader.join().await;
    let mut content = json!([{ "t": table }, {}]);
    reader.until(&content).await;

    writer.edit(json!([["setCell", "t", "r17", "c3", "changed"], ["delRow", "t", "r18"], ["setValue", "v", 1]])).await;
    content[0]["t"]["r17"]["c3"] = "changed".into();
    content[0]["t"].as_object_mut().expect("a table").remove("r18");
    content[1]["v"] = 1.into();
    rig.all_hold(&room, [&writer, &reader], &content).await;

    reader.edit(json!([["delTable", "t"], ["setValue", "v", 2]])).await;
    rig.all_hold(&room, [&writer, &reader], &json!([{}, {"v": 2}])).await;
    no_errors([&writer, &reader]).await;
}
