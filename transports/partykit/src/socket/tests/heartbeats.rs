//! Detecting that the peer is gone.

use futures_util::SinkExt;

use super::*;
use crate::proto::socket::Heartbeat;

#[tokio::test]
async fn a_peer_that_stops_answering_is_found_out() {
    let server = Server::start().await;
    let heartbeat = Heartbeat::new(Duration::from_millis(20), Duration::from_millis(20));
    let socket = PartySocket::new(server.options().with_heartbeat(Some(heartbeat))).expect("a socket");
    let mut events = socket.events();
    // The connection is upgraded, and never read from again, so no pong is sent.
    let _peer = server.accept().await;
    assert_eq!(opened(&mut events).await, 1);
    // Data written meanwhile goes into a buffer of the network, which proves nothing about the peer.
    socket.send("into the void").expect("room");
    let error = failed(&mut events).await;
    assert!(error.is_temporary() && error.to_string().contains("ping"), "{error}");
    assert_eq!(ended(&mut events).await, (1006, String::new(), 1));
    let _peer = server.accept().await;
    assert_eq!(opened(&mut events).await, 2);
}

#[tokio::test]
async fn a_quiet_peer_that_answers_pings_stays() {
    let server = Server::start().await;
    let heartbeat = Heartbeat::new(Duration::from_millis(5), DEADLINE);
    let socket = PartySocket::new(server.options().with_heartbeat(Some(heartbeat))).expect("a socket");
    let mut events = socket.events();
    let mut peer = server.accept().await;
    opened(&mut events).await;
    let mut pings = 0;
    while pings < 5 {
        if let tungstenite::Message::Ping(_) = soon(peer.next()).await.expect("a frame").expect("sound") {
            pings += 1;
        }
    }
    peer.send("still here".into()).await.expect("sent");
    assert_eq!(received(&mut events).await, "still here");
    assert_eq!(socket.epoch(), 1);
}

#[tokio::test]
async fn a_subscriber_who_is_slow_does_not_make_the_peer_seem_dead() {
    let server = Server::start().await;
    let heartbeat = Heartbeat::new(Duration::from_millis(100), Duration::from_secs(2));
    let socket = PartySocket::new(server.options().with_heartbeat(Some(heartbeat))).expect("a socket");
    let mut events = socket.events();
    let mut peer = server.accept().await;
    opened(&mut events).await;
    const COUNT: u32 = 500;
    let sending = tokio::spawn(async move {
        for n in 0..COUNT {
            peer.send(n.to_string().into()).await.expect("sent");
        }
        // Answers pings until the socket goes.
        while let Some(Ok(_)) = peer.next().await {}
    });
    // This is far longer than the heartbeat's timeout, while the buffers between the two are full.
    tokio::time::sleep(Duration::from_secs(5)).await;
    for n in 0..COUNT {
        assert_eq!(received(&mut events).await, n.to_string());
    }
    drop(socket);
    soon(sending).await.expect("no panic");
}
