//! Sent messages arrive once and in order, or the sender receives an error.

use futures_util::SinkExt;
use roommate::ErrorKind;

use super::*;
use crate::proto::socket::{ReadyState, SendOutcome};

#[tokio::test]
async fn messages_arrive_in_order_both_ways() {
    let server = Server::start().await;
    let socket = PartySocket::new(server.options()).expect("a socket");
    let mut events = socket.events();
    for n in 0..100 {
        assert_eq!(socket.send(n.to_string()).expect("room in the queue"), SendOutcome::Queued);
    }
    let mut peer = server.accept().await;
    assert_eq!(opened(&mut events).await, 1);
    assert_eq!(socket.send("100").expect("room"), SendOutcome::Handed);
    for n in 0..=100 {
        assert_eq!(text(&mut peer).await, n.to_string());
    }
    for n in 0..1000 {
        peer.feed(n.to_string().into()).await.expect("sent");
    }
    peer.send(vec![1, 2, 3].into()).await.expect("sent");
    for n in 0..1000 {
        assert_eq!(received(&mut events).await, n.to_string());
    }
    assert!(matches!(next(&mut events).await, SocketEvent::Message(Message::Binary(bytes)) if *bytes == [1, 2, 3]));
    socket.send(vec![4, 5]).expect("room");
    assert_eq!(soon(peer.next()).await.expect("a message").expect("sound"), vec![4, 5].into());
}

#[tokio::test]
async fn a_message_sent_while_the_server_is_away_arrives_after_the_reconnection() {
    let server = Server::start().await;
    let socket = PartySocket::new(server.options()).expect("a socket");
    let mut events = socket.events();
    let peer = server.accept().await;
    assert_eq!(opened(&mut events).await, 1);
    drop(peer);
    assert_eq!(failed(&mut events).await.kind(), ErrorKind::Unavailable);
    assert_eq!(ended(&mut events).await, (1006, String::new(), 1));
    assert_eq!(socket.send("while away").expect("room"), SendOutcome::Queued);
    assert_eq!(text(&mut server.accept().await).await, "while away");
    assert_eq!(opened(&mut events).await, 2);
    assert_eq!(socket.ready_state(), ReadyState::Open);
}

#[tokio::test]
async fn a_message_for_one_connection_never_goes_out_on_another() {
    let server = Server::start().await;
    let socket = PartySocket::new(server.options()).expect("a socket");
    let mut events = socket.events();
    let refused = socket.try_send_open("too early", 1).expect_err("nothing is open");
    assert_eq!(refused.kind(), ErrorKind::Closed);
    let mut peer = server.accept().await;
    assert_eq!(opened(&mut events).await, 1);
    socket.try_send_open("first", 1).expect("open");
    assert_eq!(text(&mut peer).await, "first");
    drop(peer);
    assert_eq!(ended_after_error(&mut events).await, 1);
    assert_eq!(socket.try_send_open("too late", 1).expect_err("over").kind(), ErrorKind::Closed);
    assert!(!socket.writable(1).await);
    let mut peer = server.accept().await;
    assert_eq!(opened(&mut events).await, 2);
    assert_eq!(socket.try_send_open("too late", 1).expect_err("over").kind(), ErrorKind::Closed);
    assert!(soon(socket.writable(2)).await);
    socket.try_send_open("second", 2).expect("open");
    assert_eq!(text(&mut peer).await, "second");
}

async fn ended_after_error(events: &mut SocketEvents) -> u64 {
    failed(events).await;
    ended(events).await.2
}

#[tokio::test]
async fn a_full_queue_refuses_and_keeps_what_it_has() {
    let server = Server::start().await;
    let socket = PartySocket::new(server.options().with_max_enqueued_messages(2)).expect("a socket");
    socket.send("a").expect("room");
    socket.send("b").expect("room");
    assert_eq!(socket.buffered_amount(), 2);
    assert_eq!(socket.send("c").expect_err("full").kind(), ErrorKind::Unavailable);
    let mut peer = server.accept().await;
    assert_eq!(text(&mut peer).await, "a");
    assert_eq!(text(&mut peer).await, "b");
}

#[tokio::test]
async fn a_sender_faster_than_the_network_is_refused_and_nothing_it_was_promised_is_lost() {
    let server = Server::start().await;
    let socket = PartySocket::new(server.options().with_max_enqueued_messages(8)).expect("a socket");
    let mut events = socket.events();
    // A peer that does not read: at some point the network accepts no more.
    let mut peer = server.accept().await;
    opened(&mut events).await;
    let body = "x".repeat(256 << 10);
    let mut taken = 0;
    let refused = loop {
        assert!(soon(socket.writable(1)).await);
        match socket.try_send_open(format!("{taken} {body}"), 1) {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
        // This is more than any socket buffer between the two holds.
        if taken == 200 {
            panic!("the queue has no bound");
        }
        if socket.buffered_amount() >= 8 * body.len() {
            break socket.try_send_open("one more", 1).expect_err("full");
        }
    };
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    for n in 0..taken {
        assert_eq!(text(&mut peer).await.split_once(' ').map(|(n, _)| n.to_owned()), Some(n.to_string()));
    }
    assert!(soon(socket.writable(1)).await);
}

#[tokio::test]
async fn a_message_too_large_to_send_is_refused() {
    let server = Server::start().await;
    let socket = PartySocket::new(server.options().with_max_message_size(3)).expect("a socket");
    assert_eq!(socket.send("four").expect_err("too large").kind(), ErrorKind::Invalid);
    socket.send("tri").expect("as large as may be");
    assert_eq!(text(&mut server.accept().await).await, "tri");
}

#[tokio::test]
async fn the_largest_message_passes_both_ways_behind_others() {
    let server = Server::start().await;
    let max = 3 << 20;
    let socket = PartySocket::new(server.options().with_max_message_size(max)).expect("a socket");
    let mut events = socket.events();
    let mut peer = server.accept().await;
    opened(&mut events).await;
    let large = "y".repeat(max);
    for _ in 0..3 {
        socket.send("z".repeat(100 << 10)).expect("room");
        socket.send(large.as_str()).expect("room");
    }
    for _ in 0..3 {
        assert_eq!(text(&mut peer).await.len(), 100 << 10);
        assert_eq!(text(&mut peer).await, large);
    }
    let sending = async { peer.send(large.as_str().into()).await.expect("sent") };
    let ((), back) = tokio::join!(sending, received(&mut events));
    assert_eq!(back, large);
}

#[tokio::test]
async fn a_pong_comes_behind_what_the_server_had_sent() {
    let server = Server::start().await;
    let socket = PartySocket::new(server.options()).expect("a socket");
    let mut events = socket.events();
    let mut peer = server.accept().await;
    let epoch = opened(&mut events).await;
    socket.try_send_open("before", epoch).expect("sent");
    socket.ping(&b"7"[..], epoch).expect("pinged");
    peer.send(tungstenite::Message::text("first")).await.expect("sent");
    assert_eq!(text(&mut peer).await, "before");
    tokio::spawn(async move { while let Some(Ok(_)) = peer.next().await {} });
    assert_eq!(received(&mut events).await, "first");
    assert!(matches!(next(&mut events).await, SocketEvent::Pong(payload) if &*payload == b"7"));

    assert_eq!(socket.ping(&b""[..], epoch).expect_err("refused").kind(), ErrorKind::Invalid);
    assert_eq!(socket.ping(&b"7"[..], epoch + 1).expect_err("refused").kind(), ErrorKind::Closed);
}
