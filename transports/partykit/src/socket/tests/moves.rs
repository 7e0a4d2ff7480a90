//! Reconnecting on request, to another room, and the id that is used.

use roommate::ErrorKind;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, frame::coding::CloseCode};

use super::*;
use crate::proto::socket::ReadyState;

fn pk(uri: &str) -> &str {
    uri.split_once("_pk=").expect("an id").1
}

#[tokio::test]
async fn a_random_id_is_kept_after_a_goodbye_and_another_after_a_break() {
    let server = Server::start().await;
    let socket = PartySocket::new(server.options()).expect("a socket");
    let mut events = socket.events();
    let first = socket.id();
    let (mut peer, uri) = server.accept_with_uri().await;
    assert_eq!(pk(&uri), first);
    opened(&mut events).await;
    soon(peer.close(Some(CloseFrame { code: CloseCode::Restart, reason: "".into() }))).await.expect("said");
    let (peer, uri) = server.accept_with_uri().await;
    assert_eq!(pk(&uri), first);
    assert_eq!(opened(&mut events).await, 2);
    drop(peer);
    let (_peer, uri) = server.accept_with_uri().await;
    assert_ne!(pk(&uri), first, "the server may still hold the connection of that id");
    assert_eq!(pk(&uri), socket.id());
}

#[tokio::test]
async fn an_id_of_ones_own_is_kept_whatever_happens() {
    let server = Server::start().await;
    let socket = PartySocket::new(server.options().with_id("mine")).expect("a socket");
    for _ in 0..3 {
        let (_, uri) = server.accept_with_uri().await;
        assert_eq!(pk(&uri), "mine");
    }
    assert_eq!(socket.id(), "mine");
}

#[tokio::test]
async fn a_socket_that_starts_closed_connects_when_told() {
    let server = Server::start().await;
    let options = PartySocketOptions::without_room(server.host()).with_start_closed(true);
    let socket = PartySocket::new(options).expect("a socket");
    assert_eq!(socket.ready_state(), ReadyState::Closed);
    assert_eq!(socket.send("x").expect_err("closed").kind(), ErrorKind::Closed);
    assert_eq!(socket.reconnect().expect_err("no room").kind(), ErrorKind::Invalid);
    socket.update_properties(|options| options.with_room("later")).expect("a room");
    assert_eq!(socket.ready_state(), ReadyState::Closed);
    socket.reconnect().expect("a room");
    let (_peer, uri) = server.accept_with_uri().await;
    assert!(uri.starts_with("/parties/main/later?"), "{uri}");
}

#[tokio::test]
async fn another_room_is_joined_at_once_and_what_was_set_before_stays() {
    let server = Server::start().await;
    let socket = PartySocket::new(server.options().with_path("p")).expect("a socket");
    let mut events = socket.events();
    let mut peer = server.accept().await;
    opened(&mut events).await;
    let moved = socket.update_properties(|options| options.with_party("lobby").with_query([("a", Some("1"))]));
    moved.expect("sound options");
    assert_eq!(goodbye(&mut peer).await, Some((1000, "reconnect".to_owned())));
    let (mut peer, uri) = server.accept_with_uri().await;
    assert!(uri.starts_with("/parties/lobby/my_room/p?") && uri.ends_with("&a=1"), "{uri}");
    assert_eq!(opened(&mut events).await, 2);
    socket.update_properties(|options| options.with_room("other")).expect("sound options");
    goodbye(&mut peer).await;
    let (_peer, uri) = server.accept_with_uri().await;
    assert!(uri.starts_with("/parties/lobby/other/p?") && uri.ends_with("&a=1"), "{uri}");
    let http = socket.options().http_url("http", "/store").expect("a URL");
    assert_eq!(http, format!("http://{}/parties/lobby/other/store", server.host()));
}

#[tokio::test]
async fn messages_for_one_room_are_not_taken_to_another() {
    let server = Server::start().await;
    let socket = PartySocket::new(server.options()).expect("a socket");
    socket.send("for my_room").expect("room in the queue");
    let refused = socket.update_properties(|options| options.with_room("other")).expect_err("one waits");
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    assert!(socket.update_properties(|options| options.with_path("/bad")).is_err());
    assert_eq!(socket.options().room.as_deref(), Some("my_room"));
    assert_eq!(socket.drain_queued_messages(), ["for my_room".into()]);
    socket.update_properties(|options| options.with_room("other")).expect("nothing waits");
}

#[tokio::test]
async fn a_reconnection_on_purpose_says_goodbye_and_takes_along_what_waits() {
    let server = Server::start().await;
    let socket = PartySocket::new(server.options().with_id("mine")).expect("a socket");
    let mut events = socket.events();
    let mut peer = server.accept().await;
    assert_eq!(opened(&mut events).await, 1);
    socket.reconnect().expect("a room");
    assert_eq!(socket.try_send_open("old", 1).expect_err("over").kind(), ErrorKind::Closed);
    socket.send("new").expect("room in the queue");
    assert_eq!(goodbye(&mut peer).await, Some((1000, "reconnect".to_owned())));
    assert_eq!(ended(&mut events).await, (1000, "reconnect".to_owned(), 1));
    assert_eq!(text(&mut server.accept().await).await, "new");
    assert_eq!(opened(&mut events).await, 2);
}
