//! What a room server answers over HTTP, and to a request for a WebSocket, byte for byte.

use serde_json::{Value, json};

use crate::{
    every::on_every_server,
    js::Reply,
    rig::{Rig, Room, Server},
};

on_every_server! {
    the_store_of_a_room_answers_every_method_with_its_status
    a_first_save_in_which_nothing_is_accepted_makes_no_store
    an_empty_content_makes_a_store
    paths_lead_to_rooms_as_partykit_splits_them
    a_config_without_response_headers_answers_without_any
    sockets_open_in_every_room_of_every_party_and_nowhere_else
}

const STORED: &str = "[{\"t\":{\"r\":{\"c\":1}}},{\"v\":\"text\"}]";

async fn the_store_of_a_room_answers_every_method_with_its_status(rig: Rig) {
    let room = rig.room();
    let ask = async |method, body| rig.http(method, &room, "/store", body).await;

    for method in ["GET", "POST", "DELETE", "PATCH", "OPTIONS"] {
        assert_reply(&ask(method, "").await, method, 200, "", true);
    }
    assert_reply(&ask("HEAD", "").await, "HEAD", 200, "", true);
    for body in ["", "{", "{}", "[{},{},1]", "[{}]", "[{\"t\":null},{}]", "[{\"t\":{\"r\":null}},{}]", "[[],{}]"] {
        assert_reply(&ask("PUT", body).await, body, 400, "", true);
    }
    assert_reply(&ask("GET", "").await, "GET after bad PUTs", 200, "", true);

    assert_reply(&ask("PUT", STORED).await, "PUT", 201, "", true);
    assert_reply(&ask("PUT", "[{},{\"v\":2}]").await, "a second PUT", 205, "", true);
    assert_reply(&ask("PUT", "{}").await, "a bad PUT to a store", 400, "", true);
    for method in ["GET", "POST", "DELETE", "PATCH", "OPTIONS"] {
        assert_reply(&ask(method, "").await, method, 200, STORED, true);
    }
    let head = ask("HEAD", "").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));

    for path in ["/", "", "/other", "/store/", "/stores"] {
        let reply = rig.http("GET", &room, path, "").await;
        assert_reply(&reply, path, 404, "", true);
    }
}

async fn a_first_save_in_which_nothing_is_accepted_makes_no_store(rig: Rig) {
    let room = rig.room_of("guarded");
    for body in ["[{\"secret\":{\"r\":{\"c\":1}}},{\"secret\":1}]", "[{\"t\":{}},{}]", "[{\"t\":{\"r\":{}}},{}]"] {
        assert_reply(&rig.http("PUT", &room, "/store", body).await, body, 201, "", true);
        assert_eq!(rig.content(&room).await, None, "{body}");
    }
}

async fn an_empty_content_makes_a_store(rig: Rig) {
    let room = rig.room();
    assert_reply(&rig.http("PUT", &room, "/store", "[{},{}]").await, "PUT", 201, "", true);
    assert_reply(&rig.http("GET", &room, "/store", "").await, "GET", 200, "[{},{}]", true);
}

async fn paths_lead_to_rooms_as_partykit_splits_them(rig: Rig) {
    let room = rig.room();
    rig.http("PUT", &room, "/store", STORED).await;
    let name = &room.name;
    for path in [
        format!("/party/{name}/store"),
        format!("/parties/main/{name}/store?a=b"),
        format!("/parties/main/{name}/deeper/store"),
        format!("/party/{name}/deeper//store"),
    ] {
        assert_reply(&get(&rig, &path).await, &path, 200, STORED, true);
    }
    let encoded = Room { name: format!("{name}%20%2F%C3%BC"), ..room.clone() };
    assert_eq!(rig.put(&encoded, &json!([{}, {"e": 1}])).await.status, 201);
    assert_eq!(get(&rig, &format!("/party/{name}%20%2F%C3%BC/store")).await.body, "[{},{\"e\":1}]");

    // That there is no such place a page of another origin may not read from PartyKit's server.
    let open = rig.server != Server::PartyKit;
    let path = format!("/parties/nobodys/{name}/store");
    assert_reply(&get(&rig, &path).await, &path, 404, "Party nobodys not found", open);
    for path in ["/", "/parties", "/parties/main", "/party", "/store", "/something/else"] {
        assert_reply(&get(&rig, path).await, path, 404, "Not found", open);
    }
}

async fn a_config_without_response_headers_answers_without_any(rig: Rig) {
    let room = rig.room_of("bare");
    assert_reply(&rig.put(&room, &json!([{}, {}])).await, "PUT", 201, "", false);
    assert_reply(&rig.http("GET", &room, room.store_path, "").await, "GET", 200, "[{},{}]", false);
    let prefixed = rig.room_of("prefixed");
    let reply = rig.http("GET", &prefixed, prefixed.store_path, "").await;
    assert_eq!(reply.headers["x-room-kind"], "prefixed");
    assert_eq!(reply.headers["access-control-allow-origin"], "*");
    assert_eq!(reply.headers.get("access-control-allow-methods"), None);
}

async fn sockets_open_in_every_room_of_every_party_and_nowhere_else(rig: Rig) {
    let name = rig.room().name;
    for (path, status) in [
        (format!("/parties/main/{name}"), 101),
        (format!("/parties/main/{name}?_pk=id"), 101),
        (format!("/party/{name}?_pk=id&more=1"), 101),
        (format!("/parties/guarded/{name}/any/thing"), 101),
        (format!("/parties/nobodys/{name}"), 404),
        ("/parties/main".to_owned(), 404),
        ("/".to_owned(), 404),
    ] {
        let request = json!({"url": format!("ws://{}{path}", rig.room().host)});
        let answer = rig.js.request("upgrade", request).await.expect("an answer");
        assert_eq!(answer, json!({ "status": status }), "{path}");
    }
}

async fn get(rig: &Rig, path: &str) -> Reply {
    rig.js.http(&rig.room().host, "GET", path, "").await
}

/// Asserts all that matters of `reply`. With `open`, that any origin may read it; without, that no header says so.
fn assert_reply(reply: &Reply, asked: &str, status: u16, body: &str, open: bool) {
    assert_eq!((reply.status, reply.body.as_str()), (status, body), "{asked}: {reply:?}");
    let origin = if open { json!("*") } else { Value::Null };
    for header in ["origin", "methods", "headers"] {
        assert_eq!(reply.headers[format!("access-control-allow-{header}")], origin, "{asked}: {reply:?}");
    }
    if status == 200 {
        assert_eq!(reply.headers["content-type"], "text/plain;charset=UTF-8", "{asked}: {reply:?}");
    }
}
