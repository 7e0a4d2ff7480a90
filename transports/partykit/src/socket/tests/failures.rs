//! Attempts that fail, and what follows.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use roommate::ErrorKind;

use super::*;
use crate::proto::socket::ReadyState;

const UNAUTHORIZED: &[u8] = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 9\r\n\r\nbad token";

#[tokio::test]
async fn a_refusal_is_told_with_its_reason_and_not_retried_for_ever() {
    let server = Server::start().await;
    let socket = PartySocket::new(server.options()).expect("a socket");
    let mut events = socket.events();
    for _ in 0..3 {
        server.answer(UNAUTHORIZED).await;
        let error = failed(&mut events).await;
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.to_string().contains("401 Unauthorized"), "{error}");
        assert!(error.to_string().contains("bad token"), "{error}");
    }
    assert_eq!(socket.ready_state(), ReadyState::Closed);
    let why = failed(&mut socket.events()).await;
    assert!(why.to_string().contains("reconnect()"), "{why}");
    socket.reconnect().expect("a room");
    assert_eq!(socket.ready_state(), ReadyState::Connecting);
    server.accept().await;
    assert_eq!(opened(&mut events).await, 1);
}

#[tokio::test]
async fn a_refusal_that_passes_is_got_over() {
    let server = Server::start().await;
    let socket = PartySocket::new(server.options()).expect("a socket");
    let mut events = socket.events();
    socket.send("kept").expect("room");
    server.answer(UNAUTHORIZED).await;
    server.answer(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(text(&mut server.accept().await).await, "kept");
    assert_eq!(opened(&mut events).await, 1);
}

#[tokio::test]
async fn answers_other_than_an_upgrade_are_told_and_tried_again() {
    let server = Server::start().await;
    let socket = PartySocket::new(server.options()).expect("a socket");
    let mut events = socket.events();
    let table: [(&[u8], ErrorKind); 7] = [
        (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", ErrorKind::Unavailable),
        (b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n", ErrorKind::Unavailable),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", ErrorKind::Corrupt),
        (b"HTTP/1.1 302 Found\r\nLocation: https://elsewhere\r\n\r\n", ErrorKind::Refused),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", ErrorKind::Corrupt),
        (b"\x00\x01\x02 garbage that is no HTTP at all\r\n\r\n", ErrorKind::Corrupt),
        (b"", ErrorKind::Unavailable),
    ];
    for (answer, kind) in table {
        server.answer(answer).await;
        let error = failed(&mut events).await;
        assert_eq!(error.kind(), kind, "{error}");
    }
    server.accept().await;
    assert_eq!(opened(&mut events).await, 1);
    assert!(socket.retry_count() >= 7);
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_in_time_and_tried_again() {
    let server = Server::start().await;
    let socket =
        PartySocket::new(server.options().with_connection_timeout(Duration::from_millis(100))).expect("a socket");
    let mut events = socket.events();
    let _silent = server.tcp().await;
    let error = failed(&mut events).await;
    assert!(error.is_temporary() && error.to_string().contains("100ms"), "{error}");
    let _silent_too = server.tcp().await;
    assert!(failed(&mut events).await.is_temporary());
}

#[tokio::test]
async fn nobody_listening_is_told_until_the_retries_are_used_up() {
    let host = Server::start().await.host();
    let options = PartySocketOptions::new(host, "r").with_min_reconnection_delay(Duration::ZERO).with_max_retries(2);
    let socket = PartySocket::new(options).expect("a socket");
    let mut events = socket.events();
    let mut errors = Vec::new();
    for _ in 0..3 {
        errors.push(failed(&mut events).await);
    }
    assert!(errors.iter().all(Error::is_temporary));
    assert!(errors[2].to_string().contains("max_retries"), "{:?}", errors[2]);
    soon(socket.closed()).await;
    assert_eq!(socket.send("x").expect_err("closed").kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn the_query_function_is_asked_for_each_attempt_and_may_fail() {
    let server = Server::start().await;
    let asked = Arc::new(AtomicU32::new(0));
    let count = asked.clone();
    let options = server.options().with_id("me").with_query_function(move || {
        let n = count.fetch_add(1, Ordering::Relaxed);
        async move {
            match n {
                0 => Err(Error::new(ErrorKind::Callback, "no token yet")),
                _ => Ok(vec![("token".to_owned(), Some(n.to_string())), ("none".to_owned(), None)]),
            }
        }
    });
    let socket = PartySocket::new(options).expect("a socket");
    let mut events = socket.events();
    assert_eq!(failed(&mut events).await.to_string(), "no token yet");
    for n in 1..3 {
        let (peer, uri) = server.accept_with_uri().await;
        assert_eq!(uri, format!("/parties/main/my_room?_pk=me&token={n}"));
        opened(&mut events).await;
        drop(peer);
    }
}

#[tokio::test]
async fn headers_protocols_and_strange_names_reach_the_server() {
    let server = Server::start().await;
    let options = PartySocketOptions::new(format!("http://{}/", server.host()), "a/b?c#d e|f[g]'\"\\^`{}100%é")
        .with_party("my party")
        .with_path("sub")
        .with_id("i d")
        .with_header("Authorization", "Bearer x")
        .with_protocols(["one", "two"]);
    let socket = PartySocket::new(options).expect("a socket");
    let mut events = socket.events();
    let mut seen = None;
    #[expect(clippy::result_large_err, reason = "the signature is tungstenite's")]
    let note = |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
        let header = |name: &str| request.headers()[name].to_str().expect("ASCII").to_owned();
        seen = Some((request.uri().to_string(), header("authorization"), header("sec-websocket-protocol")));
        response.headers_mut().insert("sec-websocket-protocol", "two".parse().expect("a value"));
        Ok(response)
    };
    let _peer = soon(accept_hdr_async(server.tcp().await, note)).await.expect("an upgrade");
    opened(&mut events).await;
    let room = "a%2Fb%3Fc%23d%20e|f[g]'%22%5C%5E%60%7B%7D100%%C3%A9";
    let uri = format!("/parties/my%20party/{room}/sub?_pk=i+d");
    assert_eq!(seen, Some((uri, "Bearer x".to_owned(), "one, two".to_owned())));
}
