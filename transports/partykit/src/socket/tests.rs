//! Stories of a socket and a small server beside it.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{WebSocketStream, accept_async, tungstenite};

use super::{PartySocket, SocketEvents};
use crate::proto::socket::{Heartbeat, Message, PartySocketOptions, ReadyState, SendOutcome, SocketEvent};

type Peer = WebSocketStream<TcpStream>;

/// How long a test waits for what must come.
const DEADLINE: Duration = Duration::from_secs(30);

struct Server(TcpListener);

impl Server {
    async fn start() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.expect("a free port"))
    }

    fn host(&self) -> String {
        self.0.local_addr().expect("an address").to_string()
    }

    /// Options that make a socket impatient, so that tests are quick.
    fn options(&self) -> PartySocketOptions {
        PartySocketOptions::new(self.host(), "my_room")
            .with_min_reconnection_delay(Duration::from_millis(5))
            .with_max_reconnection_delay(Duration::from_millis(20))
            .with_connection_timeout(DEADLINE)
    }

    async fn tcp(&self) -> TcpStream {
        soon(self.0.accept()).await.expect("a connection").0
    }

    async fn accept(&self) -> Peer {
        soon(accept_async(self.tcp().await)).await.expect("an upgrade")
    }
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future).await.expect("what must come has not come in time")
}

async fn next(events: &mut SocketEvents) -> SocketEvent {
    soon(events.recv()).await.expect("the socket is there")
}

/// The next message that a peer gets.
async fn text(peer: &mut Peer) -> String {
    loop {
        match soon(peer.next()).await.expect("a message").expect("a sound message") {
            tungstenite::Message::Text(text) => return text.to_string(),
            tungstenite::Message::Ping(_) | tungstenite::Message::Pong(_) => {}
            other => panic!("{other:?} is no text"),
        }
    }
}

async fn opened(events: &mut SocketEvents) -> u64 {
    loop {
        if let SocketEvent::Open { epoch } = next(events).await {
            return epoch;
        }
    }
}

#[tokio::test]
async fn messages_arrive_in_order_both_ways() {
    let server = Server::start().await;
    let socket = PartySocket::new(server.options()).expect("a socket");
    let mut events = socket.events();
    for n in 0..100 {
        socket.send(n.to_string()).expect("room in the queue");
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
    peer.flush().await.expect("sent");
    for n in 0..1000 {
        let SocketEvent::Message(Message::Text(text)) = next(&mut events).await else { panic!("no text") };
        assert_eq!(*text, n.to_string());
    }
}

#[tokio::test]
async fn a_message_sent_while_the_server_is_away_arrives_after_the_reconnection() {
    let server = Server::start().await;
    let socket = PartySocket::new(server.options()).expect("a socket");
    let mut events = socket.events();
    let peer = server.accept().await;
    assert_eq!(opened(&mut events).await, 1);
    drop(peer);
    assert!(matches!(next(&mut events).await, SocketEvent::Error(_)));
    assert!(matches!(next(&mut events).await, SocketEvent::Close { code: 1006, epoch: 1, .. }));
    assert_eq!(socket.send("while away").expect("room"), SendOutcome::Queued);
    assert_eq!(text(&mut server.accept().await).await, "while away");
    assert_eq!(opened(&mut events).await, 2);
    assert_eq!(socket.ready_state(), ReadyState::Open);
}

#[tokio::test]
async fn a_peer_that_stops_answering_is_found_out() {
    let server = Server::start().await;
    let heartbeat = Heartbeat::new(Duration::from_millis(20), Duration::from_millis(20));
    let socket = PartySocket::new(server.options().with_heartbeat(Some(heartbeat))).expect("a socket");
    let mut events = socket.events();
    // Upgraded, and never read from again: so nothing answers the ping.
    let _peer = server.accept().await;
    assert_eq!(opened(&mut events).await, 1);
    assert!(matches!(next(&mut events).await, SocketEvent::Error(error) if error.is_temporary()));
    assert!(matches!(next(&mut events).await, SocketEvent::Close { code: 1006, epoch: 1, .. }));
    let _peer = server.accept().await;
    assert_eq!(opened(&mut events).await, 2);
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
    assert!(matches!(next(&mut events).await, SocketEvent::Message(Message::Text(text)) if &*text == "first"));
    assert!(matches!(next(&mut events).await, SocketEvent::Pong(payload) if &*payload == b"7"));

    assert_eq!(socket.ping(&b""[..], epoch).unwrap_err().kind(), roommate::ErrorKind::Invalid);
    assert_eq!(socket.ping(&b"7"[..], epoch + 1).unwrap_err().kind(), roommate::ErrorKind::Closed);
}
