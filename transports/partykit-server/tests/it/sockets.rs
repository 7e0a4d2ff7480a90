use futures_util::SinkExt;
use roommate_partykit_proto::RoomConfig;
use roommate_server::ServerConfig;
use tokio_tungstenite::{
    connect_async,
    tungstenite::{Bytes, Message, client::IntoClientRequest},
};

use crate::support::{Socket, eventually, get, put, serve, uncured};

const STORE: &str = "/party/r/store";

/// A frame that sets one value.
fn set(value_id: &str, value: u32) -> String {
    format!("s[{{}},{{\"{value_id}\":{value}}},1]")
}

#[tokio::test]
async fn everybody_but_the_author_hears_a_change() {
    let server = serve(uncured()).await;
    assert_eq!(put(&server, STORE, "[{},{}]").await, 201);
    let mut alice = Socket::open(&server, "/party/r").await;
    let mut bob = Socket::open(&server, "/parties/main/r?_pk=bob").await;
    let mut carol = Socket::open(&server, "/party/r/any/thing").await;
    alice.say(set("v", 1)).await;
    assert_eq!(bob.hear().await, set("v", 1));
    assert_eq!(carol.hear().await, set("v", 1));
    bob.say("s[{\"t\":{\"r\":{\"c\":\"x\"}}},{\"v\":\"\\uFFFC\"},1]").await;
    assert_eq!(alice.hear().await, "s[{\"t\":{\"r\":{\"c\":\"x\"}}},{\"v\":\"\u{FFFC}\"},1]", "and nothing of her own");
    assert_eq!(carol.hear().await, "s[{\"t\":{\"r\":{\"c\":\"x\"}}},{\"v\":\"\u{FFFC}\"},1]");
    assert_eq!(get(&server, STORE).await, "[{\"t\":{\"r\":{\"c\":\"x\"}}},{}]");
}

/// In the original, the second of two connections with one name replaces the first. Whichever closes first removes the
/// other from the list: that one stays open and can send, but receives nothing.
#[tokio::test]
async fn connections_of_one_name_all_hear_until_they_leave() {
    let server = serve(uncured()).await;
    put(&server, STORE, "[{},{}]").await;
    let mut author = Socket::open(&server, "/party/r?_pk=author").await;
    let mut first = Socket::open(&server, "/party/r?_pk=same").await;
    let mut second = Socket::open(&server, "/party/r?_pk=same").await;
    author.say(set("v", 1)).await;
    assert_eq!(first.hear().await, set("v", 1));
    assert_eq!(second.hear().await, set("v", 1));
    second.say(set("v", 2)).await;
    assert_eq!(first.hear().await, set("v", 2), "a name does not make one the author");
    assert_eq!(author.hear().await, set("v", 2));
    first.0.close(None).await.unwrap();
    assert!(first.closed().await.is_none_or(|close| u16::from(close.code) == 1000));
    author.say(set("v", 3)).await;
    assert_eq!(second.hear().await, set("v", 3));
}

#[tokio::test]
async fn whoever_is_connected_misses_nothing_from_then_on() {
    let server = serve(uncured()).await;
    put(&server, STORE, "[{},{}]").await;
    let mut author = Socket::open(&server, "/party/r").await;
    for value in 0..50 {
        let mut listener = Socket::open(&server, "/party/r").await;
        author.say(set("v", value)).await;
        assert_eq!(listener.hear().await, set("v", value));
    }
}

#[tokio::test]
async fn what_is_not_understood_costs_nobody_the_connection() {
    let server = serve(uncured()).await;
    put(&server, STORE, "[{},{}]").await;
    let mut alice = Socket::open(&server, "/party/r").await;
    let mut bob = Socket::open(&server, "/party/r").await;
    for text in ["", "s", "s{", "hello", "s[{\"t\":null},{},1]", "s[{},{},1]"] {
        alice.say(text).await;
    }
    alice.0.send(Message::Binary(Bytes::from_static(b"s[{},{\"v\":0},1]"))).await.unwrap();
    alice.0.send(Message::Ping(Bytes::from_static(b"there?"))).await.unwrap();
    alice.say(set("v", 1)).await;
    assert_eq!(bob.hear().await, set("v", 1), "and nothing before it");
    loop {
        match alice.next().await {
            Some(Message::Pong(data)) => break assert_eq!(&*data, b"there?"),
            Some(Message::Ping(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn changes_before_the_first_content_are_nobodys() {
    let server = serve(uncured()).await;
    let mut alice = Socket::open(&server, "/party/r").await;
    let mut bob = Socket::open(&server, "/party/r").await;
    alice.say(set("v", 1)).await;
    // Bob's own message is behind Alice's in the room once he has heard of nothing else.
    alice.0.close(None).await.unwrap();
    alice.closed().await;
    assert_eq!(put(&server, STORE, "[{},{\"w\":1}]").await, 201);
    let mut carol = Socket::open(&server, "/party/r").await;
    carol.say(set("v", 2)).await;
    assert_eq!(bob.hear().await, set("v", 2));
    assert_eq!(get(&server, STORE).await, "[{},{\"w\":1,\"v\":2}]");
}

#[tokio::test]
async fn prefixes_and_paths_can_be_chosen() {
    let room = RoomConfig::new().with_cures(false).with_store_path("/my_store").with_message_prefix("m:");
    let server = serve(ServerConfig::new().with_room(room)).await;
    assert_eq!(put(&server, "/party/r/my_store", "[{},{}]").await, 201);
    assert_eq!(put(&server, STORE, "[{},{}]").await, 404);
    let mut alice = Socket::open(&server, "/party/r").await;
    let mut bob = Socket::open(&server, "/party/r").await;
    alice.say(set("v", 1)).await;
    alice.say(format!("m:{}", set("v", 2))).await;
    assert_eq!(bob.hear().await, format!("m:{}", set("v", 2)));
}

#[tokio::test]
async fn one_of_the_offered_protocols_is_chosen() {
    let server = serve(uncured()).await;
    let mut request = format!("ws://{}/party/r", server.local_addr()).into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "one, two".parse().unwrap());
    let (_socket, response) = connect_async(request).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "one");
}

#[tokio::test]
async fn a_hundred_rooms_keep_to_themselves() {
    let server = serve(uncured()).await;
    let mut pairs = Vec::new();
    for room in 0..100 {
        assert_eq!(put(&server, &format!("/party/{room}/store"), "[{},{}]").await, 201);
        let path = format!("/party/{room}");
        pairs.push((Socket::open(&server, &path).await, Socket::open(&server, &path).await));
    }
    for round in 0..3 {
        for (room, (author, _)) in pairs.iter_mut().enumerate() {
            author.say(set(&format!("v{room}"), round)).await;
        }
        for (room, (_, listener)) in pairs.iter_mut().enumerate() {
            assert_eq!(listener.hear().await, set(&format!("v{room}"), round));
        }
    }
    for room in 0..100 {
        assert_eq!(get(&server, &format!("/party/{room}/store")).await, format!("[{{}},{{\"v{room}\":2}}]"));
    }
    assert_eq!(server.rooms().len(), 100);
}

#[tokio::test]
async fn an_empty_room_goes_with_the_last_who_leaves() {
    let server = serve(uncured()).await;
    let mut alice = Socket::open(&server, "/party/r").await;
    // Bob's connection is not closed but aborted.
    let bob = Socket::open(&server, "/party/r").await;
    assert_eq!(server.rooms().len(), 1);
    drop(bob);
    alice.0.close(None).await.unwrap();
    eventually(async || server.rooms().is_empty()).await;
}
