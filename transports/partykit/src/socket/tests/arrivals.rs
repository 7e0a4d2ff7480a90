//! Messages that take a while to arrive.

use futures_util::SinkExt;
use tokio::{io::AsyncWriteExt, time::sleep};

use super::*;

#[tokio::test]
async fn a_message_shows_while_it_arrives_and_pongs_do_not() {
    let server = Server::start().await;
    let socket = PartySocket::new(server.options().with_heartbeat(None)).expect("a socket");
    let mut events = socket.events();
    let mut peer = server.accept().await;
    let epoch = opened(&mut events).await;
    for _ in 0..3 {
        peer.send(tungstenite::Message::Pong(b"pong"[..].into())).await.expect("sent");
        peer.send("small".into()).await.expect("sent");
        while !matches!(next(&mut events).await, SocketEvent::Message(_)) {}
    }
    assert_eq!(socket.last_arrival(epoch), None);
    // A text of 60,000 bytes, in pieces.
    let tcp = peer.get_mut();
    soon(tcp.write_all(&[0x81, 126, 0xEA, 0x60])).await.expect("written");
    let mut last = None;
    for _ in 0..5 {
        soon(tcp.write_all(&[b'x'; 10_000])).await.expect("written");
        soon(async {
            while socket.last_arrival(epoch) == last {
                sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
        assert!(socket.last_arrival(epoch) > last);
        last = socket.last_arrival(epoch);
    }
    soon(tcp.write_all(&[b'x'; 10_000])).await.expect("written");
    assert_eq!(received(&mut events).await.len(), 60_000);
    assert!(socket.last_arrival(epoch) >= last);
    assert_eq!(socket.last_arrival(epoch + 1), None);
}
