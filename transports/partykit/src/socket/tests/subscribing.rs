//! Which subscribers receive which events.

use futures_util::SinkExt;

use super::*;

#[tokio::test]
async fn who_comes_late_first_hears_that_the_socket_is_open() {
    let server = Server::start().await;
    let socket = PartySocket::new(server.options()).expect("a socket");
    let mut early = socket.events();
    let mut peer = server.accept().await;
    assert_eq!(opened(&mut early).await, 1);
    let mut late = socket.events();
    assert!(matches!(next(&mut late).await, SocketEvent::Open { epoch: 1 }));
    peer.send("both".into()).await.expect("sent");
    assert_eq!(received(&mut early).await, "both");
    assert_eq!(received(&mut late).await, "both");
}

#[tokio::test]
async fn a_slow_subscriber_holds_up_the_network_and_misses_nothing() {
    let server = Server::start().await;
    let socket = PartySocket::new(server.options().with_heartbeat(None)).expect("a socket");
    let mut slow = socket.events();
    let mut gone = socket.events();
    let mut peer = server.accept().await;
    assert_eq!(opened(&mut slow).await, 1);
    assert_eq!(opened(&mut gone).await, 1);
    drop(gone);
    let body = "x".repeat(64 << 10);
    // This is more than the buffers hold, so sending cannot end before a subscriber reads.
    let sending = tokio::spawn(async move {
        for n in 0..1000 {
            peer.send(format!("{n} {body}").into()).await.expect("sent");
        }
        peer
    });
    for n in 0..1000 {
        if n == 10 {
            assert!(!sending.is_finished(), "nothing holds up the network");
        }
        let text = received(&mut slow).await;
        assert_eq!(text.split_once(' ').map(|(n, _)| n.to_owned()), Some(n.to_string()));
    }
    soon(sending).await.expect("no panic");
}

#[tokio::test]
async fn a_subscriber_who_never_reads_does_not_keep_a_dropped_socket_connected() {
    let server = Server::start().await;
    let options = server.options().with_connection_timeout(Duration::from_millis(100)).with_heartbeat(None);
    let socket = PartySocket::new(options).expect("a socket");
    let unread = socket.events();
    let mut peer = server.accept().await;
    for n in 0..200 {
        peer.send(n.to_string().into()).await.expect("sent");
    }
    drop(socket);
    goodbye(&mut peer).await;
    drop(unread);
}
