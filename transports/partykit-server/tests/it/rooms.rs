//! The use of rooms by the program that hosts them.

use std::time::Duration;

use roommate::{Cell, Changes, Content, ErrorKind};
use roommate_server::{Import, Memory, RoomEvent, RoomName, Rooms, ServerConfig};

use reqwest::Method;
use roommate_partykit_proto::{Faulty, Hold, WriteFault};
use tokio_tungstenite::tungstenite;

use crate::support::{Socket, eventually, get, put, request, serve};

const STORE: &str = "/party/r/store";

fn value(id: &str, to: i32) -> Changes {
    let mut changes = Changes::new();
    changes.set_value(id, to.into());
    changes
}

fn r() -> RoomName {
    RoomName::main("r")
}

#[tokio::test]
async fn pages_are_sent_what_the_program_edits() {
    let server = serve(ServerConfig::new()).await;
    let room = server.rooms().room("main", "r");
    assert_eq!(room.content().await.unwrap(), None);
    let mut page = Socket::open(&server, "/party/r").await;
    assert_eq!(room.apply(value("v", 1)).await.unwrap(), 1);
    assert_eq!(get(&server, STORE).await, r#"[{},{"v":1}]"#);
    assert_eq!(room.apply(value("w", 2)).await.unwrap(), 2);
    while !page.hear().await.contains(r#"{"w":2}"#) {}
    let content = Content::from_json(r#"[{"t":{"r":{"c":1}}},{"v":1}]"#).unwrap().value;
    assert_eq!(room.replace(content.clone()).await.unwrap(), 3);
    assert_eq!(room.replace(content.clone()).await.unwrap(), 3, "it is so already");
    let change = page.hear().await;
    assert!(
        change.contains(r#""c":1"#) && change.contains("\"w\":\"\u{FFFC}\"") && !change.contains("\"v\""),
        "{change}"
    );
    assert_eq!(room.content().await.unwrap(), Some(content));
}

#[tokio::test]
async fn events_say_what_becomes_of_rooms() {
    let server = serve(ServerConfig::new().with_evict_after(Duration::ZERO)).await;
    let mut events = server.rooms().events();
    assert_eq!(put(&server, STORE, "[{},{}]").await, 201);
    assert_eq!(events.next().await, Some(RoomEvent::Opened { room: r() }));
    assert_eq!(events.next().await, Some(RoomEvent::Changed { room: r(), seq: 1 }));
    assert_eq!(events.next().await, Some(RoomEvent::Closed { room: r() }), "nobody uses it");
    assert_eq!(server.rooms().room("main", "r").apply(value("v", 1)).await.unwrap(), 2);
    assert_eq!(events.next().await, Some(RoomEvent::Opened { room: r() }));
    assert_eq!(events.next().await, Some(RoomEvent::Changed { room: r(), seq: 2 }));
    assert_eq!(events.next().await, Some(RoomEvent::Closed { room: r() }));

    // A subscriber that does not read misses the oldest events, and receives their number.
    let room = server.rooms().room("main", "r");
    for n in 0..1500 {
        room.apply(value("v", n)).await.unwrap();
    }
    let first = events.next().await;
    assert!(matches!(first, Some(RoomEvent::Missed { events }) if events > 0), "{first:?}");
    let rooms = server.rooms().clone();
    server.shutdown().await.unwrap();
    drop((room, rooms));
    eventually(async || events.next().await.is_none()).await;
}

#[tokio::test]
async fn stored_rooms_are_listed_in_the_order_of_their_names() {
    let rooms = Rooms::new(ServerConfig::new().with_evict_after(Duration::ZERO)).unwrap();
    for name in ["c", "a", "b"] {
        rooms.room("main", name).apply(value("v", 1)).await.unwrap();
    }
    rooms.room("chess", "z").apply(value("v", 1)).await.unwrap();
    rooms.room("main", "d").content().await.unwrap();
    let (mut names, mut after) = (Vec::new(), None);
    loop {
        let page = rooms.list(after.as_ref(), 3).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.room.clone());
        names.extend(page.iter().map(|info| info.room.to_string()));
    }
    assert_eq!(names, ["chess/z", "main/a", "main/b", "main/c"], "and not the one without a store");
    let info = rooms.room("main", "a").describe().await.unwrap().unwrap();
    assert_eq!((info.seq, info.room), (1, RoomName::main("a")));
    assert!(info.created <= info.changed);
    assert_eq!(rooms.room("main", "d").describe().await.unwrap(), None);
    eventually(async || rooms.is_empty()).await;
}

#[tokio::test]
async fn a_room_that_is_closed_ends_its_connections_and_is_opened_again() {
    let server = serve(ServerConfig::new()).await;
    let room = server.rooms().room("main", "r");
    room.apply(value("v", 1)).await.unwrap();
    let mut page = Socket::open(&server, "/party/r").await;
    room.close().await;
    assert_eq!(page.closed().await.map(|close| u16::from(close.code)), Some(1012));
    assert_eq!(get(&server, STORE).await, r#"[{},{"v":1}]"#);
    server.rooms().room("main", "never").close().await;
}

#[tokio::test]
async fn a_room_that_is_deleted_is_gone_and_begins_anew() {
    let server = serve(ServerConfig::new()).await;
    let room = server.rooms().room("main", "r");
    assert!(!room.delete().await.unwrap());
    room.apply(value("v", 1)).await.unwrap();
    room.apply(value("v", 2)).await.unwrap();
    let mut page = Socket::open(&server, "/party/r").await;
    assert!(room.delete().await.unwrap());
    assert_eq!(page.closed().await.map(|close| u16::from(close.code)), Some(1012));
    assert_eq!(get(&server, STORE).await, "");
    assert_eq!(room.describe().await.unwrap(), None);
    assert_eq!(room.history(0, 10).await.unwrap(), []);
    assert_eq!(room.apply(value("v", 3)).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r6_an_edit_that_cannot_be_stored_is_an_error_and_nobody_is_sent_it() {
    let storage = Faulty::new(Memory::new());
    let server = serve(ServerConfig::new().with_storage(storage.clone())).await;
    let room = server.rooms().room("main", "r");
    room.apply(value("v", 1)).await.unwrap();
    let mut page = Socket::open(&server, "/party/r").await;
    storage.every(WriteFault::fail());
    let error = room.apply(value("v", 2)).await.unwrap_err();
    assert_eq!((error.kind(), error.to_string().contains("a write that fails")), (ErrorKind::Unavailable, true));
    let answer = request(&server, Method::PUT, "/party/other/store", "[{},{}]").await;
    assert_eq!(answer.status(), 503);
    assert!(!answer.text().await.unwrap().contains("a write that fails"), "that is for the log");
    storage.clear();
    loop {
        match page.next().await {
            Some(tungstenite::Message::Text(text)) => assert!(!text.contains(r#""v":2"#), "{text}"),
            Some(tungstenite::Message::Close(close)) => break assert_eq!(u16::from(close.unwrap().code), 1012),
            Some(_) => {}
            None => panic!("it is closed in good order"),
        }
    }
    assert_eq!(get(&server, STORE).await, r#"[{},{"v":1}]"#);
}

/// Runs where a task may not block. If it could block, the room's own task would wait for such a commit.
#[tokio::test]
async fn r4_a_room_is_not_evicted_while_a_commit_is_in_flight() {
    let (storage, hold) = (Faulty::new(Memory::new()), Hold::new());
    let config = ServerConfig::new().with_storage(storage.clone()).with_evict_after(Duration::ZERO);
    let server = serve(config).await;
    put(&server, STORE, "[{},{}]").await;
    let mut page = Socket::open(&server, "/party/r").await;
    storage.nth(1, WriteFault::Hold(hold.clone()));
    page.say(r#"s[{},{"v":1},1]"#).await;
    eventually(async || hold.is_reached()).await;
    drop(page);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(server.rooms().len(), 1);
    hold.end();
    eventually(async || server.rooms().is_empty()).await;
    assert_eq!(get(&server, STORE).await, r#"[{},{"v":1}]"#);
}

#[tokio::test]
async fn a_room_of_partykit_is_taken_over_with_its_content() {
    let server = serve(ServerConfig::new()).await;
    let room = server.rooms().room("main", "r");
    let mut page = Socket::open(&server, "/party/r").await;
    let json = r#"{"app_hasStore":1,"app_t\"pets\",\"fido\",\"age\"":4,"app_vopen":true,"visits":7}"#;
    let import = Import::from_prefixed_json(json, "app_").unwrap();
    assert_eq!(import.foreign_keys, ["visits"]);
    assert_eq!(room.import_content(import.content.clone()).await.unwrap(), 1);
    assert_eq!(get(&server, STORE).await, r#"[{"pets":{"fido":{"age":4}}},{"open":true}]"#);
    while !page.hear().await.contains("fido") {}

    let error = room.import_content(Content::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.to_string().contains("has a store already"), "{error}");
    assert_eq!(room.content().await.unwrap(), Some(import.content));

    // The answer to a GET can be imported as well, and so can keys and cells. An empty store counts as a store.
    let other = server.rooms().room("main", "other");
    let import = Import::from_json(&get(&server, STORE).await).unwrap();
    other.import_content(import.content).await.unwrap();
    assert_eq!(get(&server, "/party/other/store").await, get(&server, STORE).await);
    let storage = || [("hasStore".to_owned(), Cell::from(1)), ("x".to_owned(), Cell::Null)];
    let imported = server.rooms().room("main", "empty").import_storage(storage(), "").await.unwrap();
    assert_eq!((imported.seq, &*imported.foreign_keys), (1, &["x".to_owned()][..]));
    assert_eq!(get(&server, "/party/empty/store").await, "[{},{}]");
    let error = server.rooms().room("main", "none").import_storage(storage(), "p_").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(get(&server, "/party/none/store").await, "");
}
