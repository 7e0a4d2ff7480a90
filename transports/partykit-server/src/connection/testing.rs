//! Connections that end in a test instead of a network.

use std::{
    io::{self, Cursor},
    ops::Range,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use futures_util::future::poll_immediate;
use roommate_partykit_proto::ConnectionId;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::protocol::{
        Role,
        frame::{
            FrameHeader,
            coding::{Control, Data, OpCode},
        },
    },
};

use super::{Bounds, Connection, Frames};

pub(crate) const AMPLE: Bounds = Bounds { frames: 1024, bytes: 1 << 20 };

/// An open connection over a network that buffers `network` bytes, and the client's end of it.
pub(crate) async fn connect(
    id: ConnectionId,
    bounds: Bounds,
    network: usize,
) -> (Arc<Connection>, WebSocketStream<DuplexStream>) {
    let connection = Connection::new(id, bounds);
    let (client, server) = duplex(network);
    connection.attach(Box::new(server));
    work_once(&connection).await;
    (connection, WebSocketStream::from_raw_socket(client, Role::Client, None).await)
}

/// An open connection whose network records each write.
pub(crate) async fn record(id: ConnectionId) -> (Arc<Connection>, Recorder) {
    let (connection, recorder) = (Connection::new(id, AMPLE), Recorder::default());
    connection.attach(Box::new(recorder.clone()));
    work_once(&connection).await;
    (connection, recorder)
}

/// Does what the connection's task does when it is polled.
pub(crate) async fn work_once(connection: &Connection) {
    let _pending = poll_immediate(connection.work()).await;
}

/// A network on which nothing arrives, and that accepts everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorder(Arc<Mutex<Vec<Vec<u8>>>>);

impl Recorder {
    /// What has been written since the last time, one item for each write.
    pub(crate) fn writes(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    /// The frames that have been written since the last time.
    pub(crate) fn frames(&self) -> Vec<Sent> {
        decode(&self.writes().concat())
    }
}

impl AsyncRead for Recorder {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Recorder {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.lock().unwrap().push(bytes.to_vec());
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A frame that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    Text(String),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(u16, String),
}

/// The bytes of some of the frames.
pub(crate) fn bytes(frames: &Frames, range: Range<usize>) -> Vec<u8> {
    let (first, second) = frames.rest(&range, 0);
    [first, second].concat()
}

/// The frames that a server has encoded.
pub(crate) fn decode(mut bytes: &[u8]) -> Vec<Sent> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let mut cursor = Cursor::new(bytes);
        let (header, length) = FrameHeader::parse(&mut cursor).unwrap().expect("a whole header");
        assert!(header.is_final && header.mask.is_none(), "{header:?}");
        let (payload, rest) = bytes[cursor.position() as usize..].split_at(length as usize);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        frames.push(match header.opcode {
            OpCode::Data(Data::Text) => Sent::Text(text(payload)),
            OpCode::Control(Control::Ping) => Sent::Ping(payload.to_vec()),
            OpCode::Control(Control::Pong) => Sent::Pong(payload.to_vec()),
            OpCode::Control(Control::Close) => {
                Sent::Close(payload[..2].try_into().map(u16::from_be_bytes).unwrap(), text(&payload[2..]))
            }
            opcode => panic!("a server does not send {opcode:?}"),
        });
        bytes = rest;
    }
    frames
}
