//! Tests of a socket with a small server.

mod arrivals;
mod endings;
mod failures;
mod heartbeats;
mod moves;
mod sending;
mod subscribing;
#[cfg(feature = "tls")]
mod tls;

use std::time::Duration;

use futures_util::StreamExt;
use roommate::Error;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, accept_async, accept_hdr_async,
    tungstenite::{
        self,
        handshake::server::{ErrorResponse, Request, Response},
    },
};

use super::{PartySocket, SocketEvents};
use crate::proto::socket::{Message, PartySocketOptions, SocketEvent};

type Peer = WebSocketStream<TcpStream>;

/// How long a test waits for an expected event.
const DEADLINE: Duration = Duration::from_secs(30);

struct Server(TcpListener);

impl Server {
    async fn start() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.expect("a free port"))
    }

    fn host(&self) -> String {
        self.0.local_addr().expect("an address").to_string()
    }

    /// Options with short delays, so that tests are quick.
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

    /// Accepts a connection, and returns the requested path and query.
    async fn accept_with_uri(&self) -> (Peer, String) {
        let mut uri = String::new();
        #[expect(clippy::result_large_err, reason = "the signature is tungstenite's")]
        let note = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
            uri = request.uri().to_string();
            Ok(response)
        };
        let peer = soon(accept_hdr_async(self.tcp().await, note)).await.expect("an upgrade");
        (peer, uri)
    }

    /// Responds to one upgrade with these bytes, and closes the connection.
    async fn answer(&self, bytes: &[u8]) {
        let mut tcp = self.tcp().await;
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(soon(tcp.read_u8()).await.expect("a request"));
        }
        soon(tcp.write_all(bytes)).await.expect("written");
        soon(tcp.shutdown()).await.expect("hung up");
    }
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future).await.expect("what must come has not come in time")
}

async fn next(events: &mut SocketEvents) -> SocketEvent {
    soon(events.recv()).await.expect("the socket is there")
}

/// The next message that a peer receives.
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

async fn failed(events: &mut SocketEvents) -> Error {
    match next(events).await {
        SocketEvent::Error(error) => error,
        other => panic!("{other:?} is no error"),
    }
}

async fn ended(events: &mut SocketEvents) -> (u16, String, u64) {
    match next(events).await {
        SocketEvent::Close { code, reason, epoch } => (code, reason, epoch),
        other => panic!("{other:?} is no end"),
    }
}

/// The next message that a socket receives.
async fn received(events: &mut SocketEvents) -> String {
    match next(events).await {
        SocketEvent::Message(Message::Text(text)) => text.to_string(),
        other => panic!("{other:?} is no text"),
    }
}

/// Waits until a peer has nothing more to read, and returns the close frame.
async fn goodbye(peer: &mut Peer) -> Option<(u16, String)> {
    let mut goodbye = None;
    while let Some(Ok(message)) = soon(peer.next()).await {
        if let tungstenite::Message::Close(Some(frame)) = message {
            goodbye = Some((u16::from(frame.code), frame.reason.to_string()));
        }
    }
    goodbye
}
