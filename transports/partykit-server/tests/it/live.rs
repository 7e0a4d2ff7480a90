//! A store in the server's process that is in sync with a room.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use roommate::{Cell, Changes, Content, Engine, ErrorKind, Store, conformance};
use roommate_partykit_proto::{Faulty, WriteFault};
use roommate_server::{Memory, Room, Rooms, RunningServer, ServerConfig};

use crate::support::{Socket, eventually, get, serve};

const STORE: &str = "/party/r/store";

fn room(server: &RunningServer) -> Room {
    server.rooms().room("main", "r")
}

fn value(id: &str, to: i32) -> Changes {
    let mut changes = Changes::new();
    changes.set_value(id, to.into());
    changes
}

fn content(json: &str) -> Content {
    Content::from_json(json).unwrap().value
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_persister_of_a_room_keeps_the_contract() {
    conformance::persister(|| {
        let room = Rooms::new(ServerConfig::new()).unwrap().room("main", "r");
        move || room.persister()
    })
    .await;
}

#[tokio::test]
async fn pages_and_a_store_in_the_server_see_each_others_edits() {
    let server = serve(ServerConfig::new()).await;
    let mut page = Socket::open(&server, "/party/r").await;
    let store = room(&server).store().await.unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    let _listener = store.add_value_listener("by_page", move |event| {
        noted.lock().unwrap().push(event.new.cloned());
    });

    store.set_cell("pets", "fido", "age", 4).unwrap();
    store.flush().await.unwrap();
    assert_eq!(get(&server, STORE).await, r#"[{"pets":{"fido":{"age":4}}},{}]"#);
    while !page.hear().await.contains("fido") {}

    page.say(r#"s[{},{"by_page":1},1]"#).await;
    eventually(async || store.value("by_page") == Some(1.into())).await;
    assert_eq!(*seen.lock().unwrap(), [Some(Cell::from(1))]);

    // Both write the same cell: the room's order decides, and all stores show the result.
    for round in 0..50 {
        store.set_value("both", round).unwrap();
        page.say(format!("s[{{}},{{\"both\":{}}},1]", round + 1000)).await;
    }
    page.say(r#"s[{},{"last":1},1]"#).await;
    store.flush().await.unwrap();
    eventually(async || store.value("last").is_some()).await;
    assert_eq!(room(&server).content().await.unwrap(), Some(store.content()));
    assert_eq!(store.engine().unconfirmed(), []);
    store.close().await;
}

#[tokio::test]
async fn two_stores_of_one_room_end_equal() {
    let rooms = Rooms::new(ServerConfig::new()).unwrap();
    let (a, b) = (rooms.room("main", "r").store().await.unwrap(), rooms.room("main", "r").store().await.unwrap());
    for round in 0..100 {
        a.set_value("v", round).unwrap();
        b.set_value("v", -round).unwrap();
        b.set_cell("t", round.to_string(), "c", true).unwrap();
    }
    a.flush().await.unwrap();
    b.flush().await.unwrap();
    eventually(async || a.row_ids("t").len() == 100 && a.content() == b.content()).await;
    assert_eq!(rooms.room("main", "r").content().await.unwrap(), Some(a.content()));
}

#[tokio::test]
async fn a_store_of_the_programs_own_is_the_first_content_of_an_empty_room_and_gives_way_to_one_that_exists() {
    let server = serve(ServerConfig::new()).await;
    for (in_room, expected) in [(1, 1), (2, 1)] {
        let store = Store::new();
        store.set_value("v", in_room).unwrap();
        let live = room(&server).sync(store.clone()).await.unwrap();
        live.flush().await.unwrap();
        assert_eq!(store.value("v"), Some(expected.into()));
        assert_eq!(get(&server, STORE).await, format!("[{{}},{{\"v\":{expected}}}]"));
        live.close().await;
    }
}

#[tokio::test]
async fn a_store_comes_back_to_a_room_that_was_closed() {
    let server = serve(ServerConfig::new()).await;
    let store = room(&server).store().await.unwrap();
    for round in 1..=5 {
        room(&server).close().await;
        store.set_value("v", round).unwrap();
        store.flush().await.unwrap();
        assert_eq!(room(&server).content().await.unwrap().unwrap().values.get("v"), Some(&round.into()));
        room(&server).apply(value("w", round)).await.unwrap();
        eventually(async || store.value("w") == Some(round.into())).await;
    }
}

#[tokio::test]
async fn a_store_holds_its_room_open_and_lets_it_go_when_it_is_closed() {
    let server = serve(ServerConfig::new().with_evict_after(Duration::ZERO)).await;
    let mut events = server.rooms().events();
    let store = room(&server).store().await.unwrap();
    store.set_value("v", 1).unwrap();
    store.flush().await.unwrap();
    // Another room is opened and closed meanwhile.
    server.rooms().room("main", "other").apply(value("v", 1)).await.unwrap();
    eventually(async || server.rooms().len() == 1).await;
    assert_eq!(store.engine().unconfirmed(), []);
    store.close().await;
    eventually(async || server.rooms().is_empty()).await;
    let mut opened = 0;
    while let Some(event) = tokio::time::timeout(Duration::ZERO, events.next()).await.ok().flatten() {
        let is_r = |room: &roommate_server::RoomName| room.room() == "r";
        opened += usize::from(matches!(&event, roommate_server::RoomEvent::Opened { room } if is_r(room)));
    }
    assert_eq!(opened, 1, "it was never closed in between");
}

#[tokio::test]
async fn a_store_brings_back_a_room_that_was_deleted() {
    let server = serve(ServerConfig::new()).await;
    let store = room(&server).store().await.unwrap();
    store.set_value("v", 1).unwrap();
    store.flush().await.unwrap();
    assert!(room(&server).delete().await.unwrap());
    store.set_value("w", 2).unwrap();
    eventually(async || get(&server, STORE).await == r#"[{},{"v":1,"w":2}]"#).await;
}

#[tokio::test]
async fn r4_what_is_edited_while_the_storage_fails_is_stored_when_it_works_again() {
    let storage = Faulty::new(Memory::new());
    let server = serve(ServerConfig::new().with_storage(storage.clone())).await;
    let store = room(&server).store().await.unwrap();
    storage.every(WriteFault::fail());
    let before = storage.writes();
    store.set_value("v", 1).unwrap();
    eventually(async || storage.writes() > before + 4).await;
    store.set_value("w", 1).unwrap();
    assert!(!store.engine().unconfirmed().is_empty());
    storage.clear();
    store.flush().await.unwrap();
    eventually(async || get(&server, STORE).await == r#"[{},{"v":1,"w":1}]"#).await;
}

#[tokio::test]
async fn r7_an_edit_that_is_stored_and_reported_as_failed_takes_effect_once() {
    let storage = Faulty::new(Memory::new());
    let server = serve(ServerConfig::new().with_storage(storage.clone())).await;
    let store = Store::new();
    let delay = Duration::from_millis(200);
    let engine = Engine::builder(&store, room(&server).persister()).with_retry_delays(delay, delay).build();
    engine.start_auto_persisting(None).await.unwrap();
    store.set_value("v", 0).unwrap();
    engine.flush().await.unwrap();
    storage.nth(1, WriteFault::tear());
    let before = storage.writes();
    store.set_value("v", 1).unwrap();
    eventually(async || storage.writes() > before).await;
    // Another client sees it and changes it before it is sent again.
    assert_eq!(get(&server, STORE).await, r#"[{},{"v":1}]"#);
    room(&server).apply(value("v", 2)).await.unwrap();
    engine.flush().await.unwrap();
    eventually(async || store.value("v") == Some(2.into())).await;
    assert_eq!(get(&server, STORE).await, r#"[{},{"v":2}]"#);
    engine.destroy().await;
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_stores_and_the_next_server_has_what_they_stored() {
    let storage = Memory::new();
    let server =
        serve(ServerConfig::new().with_storage(storage.clone()).with_close_timeout(Duration::from_secs(600))).await;
    let store = room(&server).store().await.unwrap();
    store.set_value("v", 1).unwrap();
    store.flush().await.unwrap();
    server.shutdown().await.unwrap();
    store.set_value("v", 2).unwrap();
    assert_eq!(store.flush().await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(store.engine().unconfirmed().len(), 1, "nobody has given it up");

    let server = serve(ServerConfig::new().with_storage(storage)).await;
    let again = room(&server).store().await.unwrap();
    assert_eq!(again.content(), content(r#"[{},{"v":1}]"#));
}
