//! The ways in which a connection ends, and the events that report them.

use roommate::ErrorKind;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, frame::coding::CloseCode};

use super::*;
use crate::proto::socket::ReadyState;

#[tokio::test]
async fn the_servers_own_code_and_reason_are_told_and_the_socket_comes_back() {
    let server = Server::start().await;
    let socket = PartySocket::new(server.options()).expect("a socket");
    let mut events = socket.events();
    let goodbyes = [(Some((4321, "go away")), (4321, "go away")), (Some((1012, "")), (1012, "")), (None, (1005, ""))];
    for (epoch, (said, told)) in (1..).zip(goodbyes) {
        let mut peer = server.accept().await;
        assert_eq!(opened(&mut events).await, epoch);
        let frame = said.map(|(code, reason)| CloseFrame { code: CloseCode::from(code), reason: reason.into() });
        soon(peer.close(frame)).await.expect("said");
        assert_eq!(ended(&mut events).await, (told.0, told.1.to_owned(), epoch));
    }
    server.accept().await;
    assert_eq!(opened(&mut events).await, 4);
}

#[tokio::test]
async fn a_message_too_large_for_the_server_is_told_as_an_error() {
    let server = Server::start().await;
    let socket = PartySocket::new(server.options()).expect("a socket");
    let mut events = socket.events();
    let mut peer = server.accept().await;
    opened(&mut events).await;
    soon(peer.close(Some(CloseFrame { code: CloseCode::Size, reason: "".into() }))).await.expect("said");
    let error = failed(&mut events).await;
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.to_string().contains("too large"));
    assert_eq!(ended(&mut events).await.0, 1009);
}

#[tokio::test]
async fn a_connection_cut_at_any_byte_of_a_frame_delivers_whole_messages_only() {
    let server = Server::start().await;
    let socket = PartySocket::new(server.options()).expect("a socket");
    let mut events = socket.events();
    let frame = *b"\x81\x05hello";
    for cut in 0..=frame.len() {
        let mut peer = server.accept().await;
        opened(&mut events).await;
        soon(peer.get_mut().write_all(&frame[..cut])).await.expect("written");
        drop(peer);
        if cut == frame.len() {
            assert_eq!(received(&mut events).await, "hello");
        }
        assert_eq!(failed(&mut events).await.kind(), ErrorKind::Unavailable);
        assert_eq!(ended(&mut events).await.0, 1006);
    }
}

#[tokio::test]
async fn frames_that_are_none_end_the_connection_with_an_error() {
    let server = Server::start().await;
    let socket = PartySocket::new(server.options().with_max_message_size(8)).expect("a socket");
    let mut events = socket.events();
    // A reserved opcode, a text that is not UTF-8, a message larger than this socket accepts.
    for bytes in [&b"\x83\x00"[..], b"\x81\x02\xC3\x28", b"\x81\x0Anine bytes"] {
        let mut peer = server.accept().await;
        opened(&mut events).await;
        soon(peer.get_mut().write_all(bytes)).await.expect("written");
        assert_eq!(failed(&mut events).await.kind(), ErrorKind::Corrupt);
        assert_eq!(ended(&mut events).await.0, 1006);
    }
}

#[tokio::test]
async fn closing_writes_what_waits_and_says_goodbye() {
    let server = Server::start().await;
    let socket = PartySocket::new(server.options()).expect("a socket");
    let mut events = socket.events();
    let mut peer = server.accept().await;
    opened(&mut events).await;
    for n in 0..50 {
        socket.send(n.to_string()).expect("room");
    }
    socket.close(4000, "done").expect("a code that may be used");
    assert_eq!(socket.ready_state(), ReadyState::Closing);
    assert_eq!(socket.send("too late").expect_err("closing").kind(), ErrorKind::Closed);
    for n in 0..50 {
        assert_eq!(text(&mut peer).await, n.to_string());
    }
    assert_eq!(goodbye(&mut peer).await, Some((4000, "done".to_owned())));
    assert_eq!(ended(&mut events).await, (4000, "done".to_owned(), 1));
    soon(socket.closed()).await;
    assert_eq!(socket.ready_state(), ReadyState::Closed);
    socket.reconnect().expect("a room");
    server.accept().await;
    assert_eq!(opened(&mut events).await, 2);
}

#[tokio::test]
async fn closing_ends_also_when_the_server_never_says_goodbye() {
    let server = Server::start().await;
    let options = server.options().with_connection_timeout(Duration::from_millis(200)).with_heartbeat(None);
    let socket = PartySocket::new(options).expect("a socket");
    let mut events = socket.events();
    let _peer = server.accept().await;
    opened(&mut events).await;
    socket.close(1000, "").expect("a code that may be used");
    assert_eq!(ended(&mut events).await, (1000, String::new(), 1));
    soon(socket.closed()).await;
}

#[tokio::test]
async fn closing_while_connecting_keeps_what_waits_and_tells_no_end() {
    let server = Server::start().await;
    let socket = PartySocket::new(server.options()).expect("a socket");
    let mut events = socket.events();
    socket.send("kept").expect("room");
    // Connected, and never upgraded.
    let mut tcp = server.tcp().await;
    socket.close(1000, "").expect("a code that may be used");
    assert_eq!(socket.ready_state(), ReadyState::Closed);
    soon(socket.closed()).await;
    let mut request = Vec::new();
    // The attempt is abandoned: the server sees its connection end.
    let _ = soon(tcp.read_to_end(&mut request)).await;
    assert_eq!(socket.drain_queued_messages(), ["kept".into()]);
    drop(socket);
    assert!(soon(events.recv()).await.is_none());
}

#[tokio::test]
async fn codes_that_no_program_may_close_with_are_refused() {
    let server = Server::start().await;
    let socket = PartySocket::new(server.options().with_start_closed(true)).expect("a socket");
    for code in [0, 999, 1001, 1006, 2999, 5000] {
        assert_eq!(socket.close(code, "").expect_err("refused").kind(), ErrorKind::Invalid);
    }
    assert_eq!(socket.close(1000, &"x".repeat(124)).expect_err("refused").kind(), ErrorKind::Invalid);
    socket.close(1000, &"x".repeat(123)).expect("as long as may be");
}

#[tokio::test]
async fn dropping_the_last_clone_closes_the_connection_and_ends_the_streams() {
    let server = Server::start().await;
    let socket = PartySocket::new(server.options()).expect("a socket");
    let clone = socket.clone();
    let mut events = socket.events();
    let mut peer = server.accept().await;
    opened(&mut events).await;
    drop(socket);
    clone.send("last words").expect("a clone keeps it open");
    drop(clone);
    assert_eq!(text(&mut peer).await, "last words");
    assert_eq!(goodbye(&mut peer).await.map(|(code, _)| code), Some(1000));
    assert_eq!(ended(&mut events).await.0, 1000);
    assert!(soon(events.recv()).await.is_none());
}

#[test]
fn a_socket_whose_runtime_is_gone_is_closed() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let ended = runtime();
    let socket =
        ended.block_on(async { PartySocket::new(PartySocketOptions::new("127.0.0.1:9", "r")).expect("a socket") });
    drop(ended);
    assert_eq!(socket.ready_state(), ReadyState::Closed);
    assert_eq!(socket.send("x").expect_err("closed").kind(), ErrorKind::Closed);
    assert_eq!(socket.reconnect().expect_err("closed").kind(), ErrorKind::Closed);
    let error = PartySocket::new(PartySocketOptions::new("127.0.0.1:9", "r")).expect_err("no runtime");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}
