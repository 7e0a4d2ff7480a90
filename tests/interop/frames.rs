//! What a room server does with messages: which it takes, and what exactly the others receive.

use serde_json::json;

use crate::{
    content::canonical,
    every::on_every_stock_server,
    js::JsClient,
    rig::{Rig, Room},
};

on_every_stock_server! {
    what_is_accepted_is_told_in_tinybases_spelling
    what_is_no_change_is_told_to_nobody
    changes_to_a_room_without_a_store_are_ignored
    a_number_beyond_all_numbers_is_no_cell
    raw_objects_are_kept
    a_change_goes_to_every_connection_of_its_room_and_to_no_other
    a_ping_is_answered_behind_what_was_told_before
}

async fn what_is_accepted_is_told_in_tinybases_spelling(rig: Rig) {
    let room = rig.room();
    rig.put(&room, &json!([{}, {}])).await;
    let (sender, hearer) = (rig.js(&room).await, rig.js(&room).await);
    let exchanges = [
        ("s[{\"t\":{\"r\":{\"c\":1}}},{\"v\":null},1]", "s[{\"t\":{\"r\":{\"c\":1}}},{\"v\":null},1]"),
        // Unchanged, and told nevertheless.
        ("s[{\"t\":{\"r\":{\"c\":1}}},{},1]", "s[{\"t\":{\"r\":{\"c\":1}}},{},1]"),
        (" s[{},{\"prefixed\":1},1]", ""),
        ("s [ { } , { \"v\" : 1.50 } , 1 ] ", "s[{},{\"v\":1.5},1]"),
        ("s[{},{\"v\":1E2},1.0]", "s[{},{\"v\":100},1]"),
        ("s[{},{\"v\":9007199254740993},\"1\"]", "s[{},{\"v\":9007199254740992},1]"),
        ("s[{},{\"v\":-0},true]", "s[{},{\"v\":0},1]"),
        ("s[{},{\"v\":1e21},[1]]", "s[{},{\"v\":1e+21},1]"),
        ("s[{},{\"v\":\"\\u0041\\/\\u2028\"},1]", "s[{},{\"v\":\"A/\u{2028}\"},1]"),
        ("s[{},{\"v\":\"\\uFFFC\"},1]", "s[{},{\"v\":\"\u{FFFC}\"},1]"),
        ("s[{},{\"never there\":\"\u{FFFC}\"},1]", "s[{},{\"never there\":\"\u{FFFC}\"},1]"),
        ("s[{\"t\":{\"r\":{\"c\":\"\u{FFFC}\"}}},{},1]", "s[{\"t\":{\"r\":{\"c\":\"\u{FFFC}\"}}},{},1]"),
        ("s[{\"t\":{\"r\":\"\u{FFFC}\"}},{},1]", "s[{\"t\":{\"r\":\"\u{FFFC}\"}},{},1]"),
        ("s[{\"t\":\"\u{FFFC}\"},{},1]", "s[{\"t\":\"\u{FFFC}\"},{},1]"),
        ("s[{},{\"v\":1,\"v\":2},1]", "s[{},{\"v\":2},1]"),
        ("s[{},{\"v\":\"\u{FFFD}{ \\\"a\\\": 1.0 }\"},1]", "s[{},{\"v\":\"\u{FFFD}{ \\\"a\\\": 1.0 }\"},1]"),
    ];
    for (sent, _) in exchanges {
        send(&sender, sent).await;
    }
    let told: Vec<_> = exchanges.iter().map(|(_, told)| *told).filter(|told| !told.is_empty()).collect();
    assert_eq!(hearer.frames_until(told.len()).await, told);
    assert_eq!(sender.frames().await, [""; 0], "the sender hears nothing of its own changes");
}

async fn what_is_no_change_is_told_to_nobody(rig: Rig) {
    let room = rig.room();
    let content = json!([{"t": {"r": {"c": 1}}}, {"v": 1}]);
    rig.put(&room, &content).await;
    let (sender, hearer) = (rig.js(&room).await, rig.js(&room).await);
    for sent in [
        "",
        "s",
        "s{",
        "s{}",
        "s[]",
        "s1",
        "snull",
        "s\"text\"",
        "x[{},{\"v\":2},1]",
        "S[{},{\"v\":2},1]",
        "[{},{\"v\":2},1]",
        "ss[{},{\"v\":2},1]",
        "s[{},{\"v\":2}]",
        "s[{},{\"v\":2},2]",
        "s[{},{\"v\":2},null]",
        "s[{},{\"v\":2},1,1]",
        "s[[],{\"v\":2},1]",
        "s[null,{\"v\":2},1]",
        "s[{},[],1]",
        "s[{\"t\":null},{\"v\":2},1]",
        "s[{\"t\":{\"r\":null}},{\"v\":2},1]",
        "s[{\"t\":{\"r\":[]}},{\"v\":2},1]",
        "s[{\"t\":1},{\"v\":2},1]",
        "s[{\"t\":{\"r\":\"text\"}},{\"v\":2},1]",
        "s[{},{\"v\":2},1]]",
        // Right, and nothing in it.
        "s[{},{},1]",
    ] {
        send(&sender, sent).await;
    }
    sender.send_binary("s[{},{\"v\":2},1]").await;
    send(&sender, "s[{},{\"end\":1},1]").await;
    assert_eq!(hearer.frames_until(1).await, ["s[{},{\"end\":1},1]"]);
    assert_eq!(rig.content(&room).await, Some(canonical(json!([{"t": {"r": {"c": 1}}}, {"v": 1, "end": 1}]))));
}

async fn changes_to_a_room_without_a_store_are_ignored(rig: Rig) {
    let room = rig.room();
    let (sender, hearer) = (rig.js(&room).await, rig.js(&room).await);
    send(&sender, "s[{},{\"early\":1},1]").await;
    sender.ping().await;
    assert_eq!(rig.content(&room).await, None);
    assert_eq!(rig.put(&room, &json!([{}, {}])).await.status, 201);
    send(&sender, "s[{},{\"late\":1},1]").await;
    rig.until(&room, &json!([{}, {"late": 1}])).await;
    assert_eq!(hearer.frames_until(1).await, ["s[{},{\"late\":1},1]"]);
}

/// TinyBase's server ignores a message with such a number as a whole; ours leaves out that one cell, as TinyBase's clients
/// do.
async fn a_number_beyond_all_numbers_is_no_cell(rig: Rig) {
    let room = rig.room();
    rig.put(&room, &json!([{}, {}])).await;
    let (sender, hearer) = (rig.js(&room).await, rig.js(&room).await);
    send(&sender, "s[{},{\"v\":1,\"w\":1e999},1]").await;
    send(&sender, "s[{},{\"end\":1},1]").await;
    let told = match rig.server.is_ours() {
        false => &["s[{},{\"end\":1},1]"][..],
        true => &["s[{},{\"v\":1},1]", "s[{},{\"end\":1},1]"],
    };
    assert_eq!(hearer.frames_until(told.len()).await, told);
}

/// TinyBase's server gives them back raw; ours as TinyBase's clients would have sent them. Clients cannot tell.
async fn raw_objects_are_kept(rig: Rig) {
    let room = rig.room();
    let content = json!([{"t": {"r": {"c": {"a": [1, null]}}}}, {"v": [1, {"b": {}}]}]);
    assert_eq!(rig.put(&room, &content).await.status, 201);
    let encoded = json!([{"t": {"r": {"c": "\u{FFFD}{\"a\":[1,null]}"}}}, {"v": "\u{FFFD}[1,{\"b\":{}}]"}]);
    let held = if rig.server.is_ours() { &encoded } else { &content };
    assert_eq!(rig.content(&room).await, Some(canonical(held.clone())));

    let reader = rig.join(&room).await;
    reader.until(&encoded).await;
}

async fn a_change_goes_to_every_connection_of_its_room_and_to_no_other(rig: Rig) {
    let room = rig.room();
    let elsewhere = [rig.room_of("guarded"), Room { name: format!("{}-2", room.name), ..rig.room() }];
    rig.put(&room, &json!([{}, {}])).await;
    let sender = rig.js(&room).await;
    let hearers = [
        rig.js(&room).await,
        rig.js_with(&room, json!({"path": "deeper/down", "config": {}})).await,
        rig.js_with(&room, json!({"query": {"token": "a b"}, "config": {}})).await,
    ];
    let others = [rig.js(&elsewhere[0]).await, rig.js(&elsewhere[1]).await];
    for room in &elsewhere {
        rig.put(room, &json!([{}, {}])).await;
    }

    send(&sender, "s[{},{\"here\":1},1]").await;
    for hearer in &hearers {
        assert_eq!(hearer.frames_until(1).await, ["s[{},{\"here\":1},1]"]);
    }
    for other in &others {
        other.ping().await;
        assert_eq!(other.frames().await, [""; 0]);
    }
}

async fn a_ping_is_answered_behind_what_was_told_before(rig: Rig) {
    let room = rig.room();
    rig.put(&room, &json!([{}, {}])).await;
    let (sender, hearer) = (rig.js(&room).await, rig.js(&room).await);
    send(&sender, "s[{},{\"v\":1},1]").await;
    rig.until(&room, &json!([{}, {"v": 1}])).await;
    hearer.ping().await;
    assert_eq!(hearer.frames().await, ["s[{},{\"v\":1},1]"]);
}

async fn send(client: &JsClient, text: &str) {
    client.socket("send", json!([text])).await;
}
