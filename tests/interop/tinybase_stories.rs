//! TinyBase's own thirteen stories of its PartyKit persister (`test/unit/persisters/partykit.test.ts`), by name, each told
//! with stock clients.
//!
//! TinyBase tells them in one process, with its server in its hands; here a server runs as it does for users. Where a
//! story looks into the server, it is told by what can be seen from outside, and says so.

use roommate::Cell;
use roommate_partykit_proto::content_of_storage;
use serde_json::{Value, json};

use crate::{
    content::{canonical, parse},
    every::on_every_server,
    rig::{Rig, Server},
};

on_every_server! {
    tinybase_story_01_syncs_two_clients_and_updates_durable_storage
    tinybase_story_02_broadcasts_only_authorized_writes
    tinybase_story_03_broadcasts_only_authorized_deletions
    tinybase_story_04_does_not_initialize_a_store_when_all_writes_are_rejected
    tinybase_story_05_supports_non_default_server_and_client_configuration
    tinybase_story_06_rejects_unsuccessful_empty_http_responses
    tinybase_story_07_serializes_concurrent_initial_saves
    tinybase_story_08_rejects_malformed_initial_content
    tinybase_story_09_ignores_malformed_socket_and_namespaced_storage_payloads
    tinybase_story_10_persists_additions_to_server_storage
    tinybase_story_11_persists_reserved_identifiers
    tinybase_story_12_persists_updates_to_server_storage
    tinybase_story_13_persists_deletions_to_server_storage
}

async fn tinybase_story_01_syncs_two_clients_and_updates_durable_storage(rig: Rig) {
    let room = rig.room_of("opened");
    let one = rig.join(&room).await;
    let two = rig.join(&room).await;

    one.store("setTables", json!([{"t1": {"r1": {"c1": 1}}}])).await;
    two.until(&json!([{"t1": {"r1": {"c1": 1}}}, {}])).await;
    two.transaction(json!([["setCell", "t1", "r1", "c1", 2], ["setCell", "t1", "r1", "c2", 3], ["setValue", "v1", 4]]))
        .await;

    let content = json!([{"t1": {"r1": {"c1": 2, "c2": 3}}}, {"v1": 4}]);
    one.until(&content).await;
    two.until(&content).await;
    rig.until(&room, &content).await;
    rig.assert_stored(&room, json!({"hasStore": 1, "t\"t1\",\"r1\",\"c1\"": 2, "t\"t1\",\"r1\",\"c2\"": 3, "vv1": 4}))
        .await;
}

async fn tinybase_story_02_broadcasts_only_authorized_writes(rig: Rig) {
    let room = rig.room_of("guarded");
    let one = rig.join(&room).await;
    let two = rig.join(&room).await;

    one.transaction(json!([
        ["setCell", "t1", "r1", "c1", 1],
        ["setCell", "t1", "r1", "secret", 2],
        ["setCell", "t1", "secret", "c1", 3],
        ["setCell", "secret", "r1", "c1", 4],
        ["setValue", "v1", 5],
        ["setValue", "secret", 6],
    ]))
    .await;

    let content = json!([{"t1": {"r1": {"c1": 1}}}, {"v1": 5}]);
    two.until(&content).await;
    rig.until(&room, &content).await;
    rig.assert_stored(&room, json!({"hasStore": 1, "t\"t1\",\"r1\",\"c1\"": 1, "vv1": 5})).await;
    for frame in two.frames().await {
        assert!(!frame.contains("secret"), "{frame}");
    }
}

/// In TinyBase a row slips in between the server's look at its storage and its transaction; from outside, the table
/// is deleted by one who never knew of that row.
async fn tinybase_story_03_broadcasts_only_authorized_deletions(rig: Rig) {
    let room = rig.room_of("guarded");
    let one = rig.join(&room).await;
    let two = rig.join(&room).await;
    let tables = json!({
        "t1": {"r1": {"c1": 1, "kept": 2}, "r2": {"c1": 3}, "kept": {"c1": 4}},
        "t2": {"r1": {"c1": 5}},
        "kept": {"r1": {"c1": 6}},
    });
    one.transaction(json!([["setTables", tables], ["setValues", {"v1": 7, "kept": 8}]])).await;
    two.until(&json!([tables, {"v1": 7, "kept": 8}])).await;

    let stranger = rig.js(&room).await;
    stranger.socket("send", json!(["s[{\"t2\":{\"slipped in\":{\"c1\":9}}},{},1]"])).await;
    let mut with_row = tables.clone();
    with_row["t2"]["slipped in"] = json!({"c1": 9});
    two.until(&json!([with_row, {"v1": 7, "kept": 8}])).await;
    one.transaction(json!([
        ["delCell", "t1", "r1", "c1"],
        ["delCell", "t1", "r1", "kept"],
        ["setCell", "t1", "r1", "alive", 10],
        ["delRow", "t1", "r2"],
        ["delRow", "t1", "kept"],
        ["delTable", "kept"],
        ["delValue", "v1"],
        ["delValue", "kept"],
    ]))
    .await;
    stranger.socket("send", json!(["s[{\"t2\":\"\u{FFFC}\"},{},1]"])).await;

    let content = json!([
        {"t1": {"r1": {"kept": 2, "alive": 10}, "kept": {"c1": 4}}, "kept": {"r1": {"c1": 6}}},
        {"kept": 8},
    ]);
    two.until(&content).await;
    rig.until(&room, &content).await;
    rig.assert_stored(
        &room,
        json!({
            "hasStore": 1, "t\"t1\",\"r1\",\"kept\"": 2, "t\"t1\",\"r1\",\"alive\"": 10,
            "t\"t1\",\"kept\",\"c1\"": 4, "t\"kept\",\"r1\",\"c1\"": 6, "vkept": 8,
        }),
    )
    .await;
}

async fn tinybase_story_04_does_not_initialize_a_store_when_all_writes_are_rejected(rig: Rig) {
    let room = rig.room_of("guarded");
    let one = rig.js(&room).await;
    one.transaction(json!([["setCell", "t1", "r1", "secret", 1], ["setValue", "secret", 2]])).await;
    one.persister("save", json!([])).await;
    assert_eq!(rig.content(&room).await, None);
    rig.assert_stored(&room, json!({})).await;

    one.store("setValue", json!(["v1", 3])).await;
    one.persister("save", json!([])).await;
    let content = Some(canonical(json!([{}, {"v1": 3}])));
    assert_eq!(rig.content(&room).await, content);

    one.store("setValue", json!(["v1", 4])).await;
    one.persister("save", json!([])).await;
    assert_eq!(rig.content(&room).await, content, "a second save finds the store and leaves it");
    assert_eq!(one.errors().await, json!([]));
}

async fn tinybase_story_05_supports_non_default_server_and_client_configuration(rig: Rig) {
    let room = rig.room_of("prefixed");
    if rig.server == Server::PartyKit {
        rig.store(&room, &json!({"vforeign": 1, "hasStore": 1, "tinybase_x": 2})).await;
    }
    let one = rig.join(&room).await;
    let two = rig.join(&room).await;

    one.transaction(json!([["setCell", "t1", "r1", "c1", 1], ["setCell", "t1", "r2", "c1", 2], ["setValue", "v1", 3]]))
        .await;
    two.until(&json!([{"t1": {"r1": {"c1": 1}, "r2": {"c1": 2}}}, {"v1": 3}])).await;
    two.store("delRow", json!(["t1", "r1"])).await;

    let content = json!([{"t1": {"r2": {"c1": 2}}}, {"v1": 3}]);
    one.until(&content).await;
    rig.until(&room, &content).await;
    rig.assert_stored(
        &room,
        json!({
            "vforeign": 1, "hasStore": 1, "tinybase_x": 2,
            "tinybase_hasStore": 1, "tinybase_t\"t1\",\"r2\",\"c1\"": 2, "tinybase_vv1": 3,
        }),
    )
    .await;
    for frame in one.frames().await {
        assert!(frame.starts_with("tb_s["), "{frame}");
    }
    assert_eq!(rig.http("GET", &room, "/store", "").await.status, 404);
}

/// TinyBase lets the fetch answer 500 without a body. Here a path that is not the store's is answered without a body, and
/// a hook that throws with 500.
async fn tinybase_story_06_rejects_unsuccessful_empty_http_responses(rig: Rig) {
    let one = rig.js_with(&rig.room(), json!({"config": {"storePath": "/nothing"}})).await;
    one.persister("load", json!([])).await;
    let refusal = json!({"name": "Response", "status": 404, "bodyUsed": false});
    assert_eq!(one.errors().await, json!([refusal]));
    one.persister("save", json!([])).await;
    assert_eq!(one.errors().await, json!([refusal, refusal]));

    let two = rig.js(&rig.room_of("guarded")).await;
    two.store("setValue", json!(["explode", 1])).await;
    two.persister("save", json!([])).await;
    assert_eq!(two.errors().await, json!([{"name": "Response", "status": 500, "bodyUsed": false}]));
}

async fn tinybase_story_07_serializes_concurrent_initial_saves(rig: Rig) {
    let room = rig.room();
    let contents = [
        json!([{"t1": {"r1": {"c1": 1}}, "one": {"r1": {"c1": 1}}}, {"v1": 1, "one": 1}]),
        json!([{"t1": {"r1": {"c1": 2}}, "two": {"r1": {"c1": 2}}}, {"v1": 2, "two": 2}]),
    ];
    let (one, two) = tokio::join!(rig.put(&room, &contents[0]), rig.put(&room, &contents[1]));

    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 205]);
    let winner = if one.status == 201 { 0 } else { 1 };
    assert_eq!(rig.content(&room).await, Some(canonical(contents[winner].clone())));
}

async fn tinybase_story_08_rejects_malformed_initial_content(rig: Rig) {
    let room = rig.room();
    for malformed in ["{", "{}", "[{},{},1]"] {
        assert_eq!(rig.http("PUT", &room, "/store", malformed).await.status, 400, "{malformed}");
        assert_eq!(rig.content(&room).await, None, "{malformed}");
    }
}

async fn tinybase_story_09_ignores_malformed_socket_and_namespaced_storage_payloads(rig: Rig) {
    let room = rig.room_of("prefixed");
    let content = json!([{"t1": {"r1": {"c1": 2}}}, {"v1": 1}]);
    let stored = json!({
        "tinybase_hasStore": 1, "tinybase_vv1": 1, "tinybase_t\"t1\",\"r1\",\"c1\"": 2,
        "tinybase_tnot json": 3, "tinybase_t\"t1\",\"r1\"": 4, "tinybase_t1,2,3": 5, "tinybase_x": 6, "other_vv2": 7,
    });
    match rig.server.is_ours() {
        false => rig.store(&room, &stored).await,
        true => {
            let Value::Object(stored) = stored else { unreachable!("it is an object") };
            let stored = stored.into_iter().map(|(key, value)| (key, Cell::try_from(value).expect("a cell")));
            let imported = content_of_storage("tinybase_", stored).expect("there is a store");
            assert_eq!(parse(&imported.to_json()), canonical(content.clone()));
            rig.put(&room, &content).await;
        }
    }
    let one = rig.join(&room).await;
    one.until(&content).await;

    let stranger = rig.js(&room).await;
    for payload in
        ["s[{},{\"v1\":2},1]", "other_s[{},{\"v1\":3},1]", "tb_s{", "tb_s{}", "tb_x[{},{\"v1\":4},1]", "tb_s"]
    {
        stranger.socket("send", json!([payload])).await;
    }
    stranger.socket("send", json!(["tb_s[{},{\"v2\":5},1]"])).await;

    one.until(&json!([{"t1": {"r1": {"c1": 2}}}, {"v1": 1, "v2": 5}])).await;
    // Our server may have told the whole content first, when the client came.
    let changes: Vec<_> = one.frames().await.into_iter().filter(|frame| frame.ends_with(",1]")).collect();
    assert_eq!(changes, ["tb_s[{},{\"v2\":5},1]"]);
}

async fn tinybase_story_10_persists_additions_to_server_storage(rig: Rig) {
    let room = rig.room_of("opened");
    let one = rig.join(&room).await;
    one.store("setTables", json!([{"t1": {"r1": {"c1": 1}}}])).await;
    one.store("setCell", json!(["t1", "r1", "c2", 2])).await;
    one.store("setRow", json!(["t1", "r2", {"c1": 3}])).await;
    one.store("setTable", json!(["t2", {"r1": {"c1": 4}}])).await;
    one.store("setValue", json!(["v1", 5])).await;

    rig.until(&room, &json!([{"t1": {"r1": {"c1": 1, "c2": 2}, "r2": {"c1": 3}}, "t2": {"r1": {"c1": 4}}}, {"v1": 5}]))
        .await;
    rig.assert_stored(
        &room,
        json!({
            "hasStore": 1, "t\"t1\",\"r1\",\"c1\"": 1, "t\"t1\",\"r1\",\"c2\"": 2, "t\"t1\",\"r2\",\"c1\"": 3,
            "t\"t2\",\"r1\",\"c1\"": 4, "vv1": 5,
        }),
    )
    .await;
}

async fn tinybase_story_11_persists_reserved_identifiers(rig: Rig) {
    let room = rig.room_of("opened");
    let one = rig.join(&room).await;
    let two = rig.join(&room).await;
    let mut calls = Vec::new();
    for (index, id) in ["__proto__", "constructor", "prototype"].into_iter().enumerate() {
        calls.push(json!(["setCell", id, id, id, index]));
        calls.push(json!(["setValue", id, index]));
    }
    one.transaction(json!(calls)).await;

    let content = json!([
        {
            "__proto__": {"__proto__": {"__proto__": 0}},
            "constructor": {"constructor": {"constructor": 1}},
            "prototype": {"prototype": {"prototype": 2}},
        },
        {"__proto__": 0, "constructor": 1, "prototype": 2},
    ]);
    two.until(&content).await;
    rig.until(&room, &content).await;
    rig.assert_stored(
        &room,
        json!({
            "hasStore": 1,
            "t\"__proto__\",\"__proto__\",\"__proto__\"": 0, "v__proto__": 0,
            "t\"constructor\",\"constructor\",\"constructor\"": 1, "vconstructor": 1,
            "t\"prototype\",\"prototype\",\"prototype\"": 2, "vprototype": 2,
        }),
    )
    .await;
}

async fn tinybase_story_12_persists_updates_to_server_storage(rig: Rig) {
    let room = rig.room_of("opened");
    let one = rig.join(&room).await;
    one.transaction(json!([["setCell", "t1", "r1", "c1", 1], ["setValue", "v1", 1]])).await;
    rig.until(&room, &json!([{"t1": {"r1": {"c1": 1}}}, {"v1": 1}])).await;
    one.store("setCell", json!(["t1", "r1", "c1", 2])).await;
    one.store("setValue", json!(["v1", 3])).await;

    rig.until(&room, &json!([{"t1": {"r1": {"c1": 2}}}, {"v1": 3}])).await;
    rig.assert_stored(&room, json!({"hasStore": 1, "t\"t1\",\"r1\",\"c1\"": 2, "vv1": 3})).await;
}

async fn tinybase_story_13_persists_deletions_to_server_storage(rig: Rig) {
    let room = rig.room_of("opened");
    let one = rig.join(&room).await;
    let full = json!([{"t1": {"r1": {"c1": 1, "c2": 2}}, "t10": {"r1": {"c1": 3}}}, {"v1": 4}]);
    one.store("setContent", json!([full])).await;
    rig.until(&room, &full).await;

    one.store("delCell", json!(["t1", "r1", "c1"])).await;
    rig.until(&room, &json!([{"t1": {"r1": {"c2": 2}}, "t10": {"r1": {"c1": 3}}}, {"v1": 4}])).await;
    one.store("delRow", json!(["t1", "r1"])).await;
    rig.until(&room, &json!([{"t10": {"r1": {"c1": 3}}}, {"v1": 4}])).await;
    one.transaction(json!([["delTable", "t10"], ["delValue", "v1"]])).await;
    rig.until(&room, &json!([{}, {}])).await;
    rig.assert_stored(&room, json!({"hasStore": 1})).await;
}
