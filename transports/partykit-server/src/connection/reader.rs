//! Reading from a connection. A connection on which nothing arrives has no read buffer.

use std::{
    cell::RefCell,
    io::{self, Read, Write},
    task::{Context, Poll, ready},
};

use tokio::io::ReadBuf;
use tokio_tungstenite::tungstenite::{
    Error, Message, Utf8Bytes,
    protocol::{CloseFrame, Role, WebSocketConfig, WebSocketContext, frame::coding::CloseCode},
};

use super::Connection;

/// The reading half of the WebSocket protocol. Takes bytes, and does no I/O itself.
#[derive(Debug)]
pub(crate) struct Reader {
    protocol: WebSocketContext,
}

/// Something that arrived for the room.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    Text(Utf8Bytes),
    /// The pong to the room's ping with this token.
    Pong(u64),
}

/// The contents of some bytes.
#[derive(Debug, Default)]
pub(crate) struct Received {
    pub(crate) arrivals: Vec<Arrival>,
    /// Encoded frames to be sent: pongs, and a close frame if the other end closed.
    pub(crate) replies: Vec<u8>,
    pub(crate) end: Option<End>,
}

/// Why reading has ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The connection ended without a close frame.
    Gone,
    /// Both sides have sent a close frame, if the replies are sent.
    Closed,
    /// The input breaks the protocol or a limit, so the input after it cannot be parsed.
    Failed(CloseFrame),
}

/// How many bytes one read takes.
const CHUNK: usize = 16 << 10;

/// The size of the buffer that tungstenite allocates for each connection, and of the pieces in which it copies
/// messages.
const BUFFER: usize = 1 << 10;

thread_local! {
    /// The read buffer of all connections that are polled on this thread.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; CHUNK]);
}

impl Reader {
    /// Creates a reader that accepts messages of up to `max_size` bytes.
    pub(crate) fn new(max_size: usize) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .write_buffer_size(0)
            .max_message_size(Some(max_size))
            .max_frame_size(Some(max_size));
        Self { protocol: WebSocketContext::new(Role::Server, Some(config)) }
    }

    /// Reads until there is something to return.
    pub(crate) fn poll_receive(&mut self, connection: &Connection, context: &mut Context<'_>) -> Poll<Received> {
        SCRATCH.with_borrow_mut(|scratch| {
            loop {
                let mut buffer = ReadBuf::new(scratch);
                let read = ready!(connection.poll_read(context, &mut buffer));
                if read.is_err() || buffer.filled().is_empty() {
                    return Poll::Ready(Received { end: Some(End::Gone), ..Received::default() });
                }
                let received = self.receive(buffer.filled());
                if !received.arrivals.is_empty() || !received.replies.is_empty() || received.end.is_some() {
                    return Poll::Ready(received);
                }
            }
        })
    }

    /// Reads and drops everything, until the connection ends.
    pub(crate) fn poll_discard(connection: &Connection, context: &mut Context<'_>) -> Poll<()> {
        SCRATCH.with_borrow_mut(|scratch| {
            loop {
                let mut buffer = ReadBuf::new(scratch);
                let read = ready!(connection.poll_read(context, &mut buffer));
                if read.is_err() || buffer.filled().is_empty() {
                    return Poll::Ready(());
                }
            }
        })
    }

    /// Begins the closing handshake, and returns the encoded close frame.
    pub(crate) fn close(&mut self, frame: CloseFrame) -> Vec<u8> {
        let mut replies = Vec::new();
        // This fails if the other end has closed meanwhile. Then no frame has to be sent.
        let _closed_already = self.protocol.close(&mut Pipe { input: &[], output: &mut replies }, Some(frame));
        replies
    }

    /// Parses bytes that have arrived.
    fn receive(&mut self, bytes: &[u8]) -> Received {
        let mut received = Received::default();
        let mut pipe = Pipe { input: bytes, output: &mut received.replies };
        loop {
            match self.protocol.read(&mut pipe) {
                Ok(Message::Text(text)) => received.arrivals.push(Arrival::Text(text)),
                Ok(Message::Pong(payload)) => {
                    // The pongs to the heartbeat are empty.
                    let token = payload[..].try_into().map(u64::from_be_bytes);
                    received.arrivals.extend(token.map(Arrival::Pong));
                }
                // Binary messages are ignored. tungstenite replies to a ping or a close at the next read.
                Ok(Message::Binary(_) | Message::Ping(_) | Message::Close(_) | Message::Frame(_)) => {}
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => return received,
                Err(error) => {
                    received.end = Some(End::from(error));
                    return received;
                }
            }
        }
    }
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        let (code, reason) = match error {
            Error::ConnectionClosed | Error::AlreadyClosed => return Self::Closed,
            Error::Io(_) => return Self::Gone,
            Error::Capacity(_) => (CloseCode::Size, "message too big"),
            Error::Utf8(_) => (CloseCode::Invalid, "a text that is not UTF-8"),
            _ => (CloseCode::Protocol, "protocol error"),
        };
        Self::Failed(CloseFrame { code, reason: Utf8Bytes::from_static(reason) })
    }
}

/// Bytes that have arrived, and the replies to them.
#[derive(Debug)]
struct Pipe<'a> {
    input: &'a [u8],
    output: &'a mut Vec<u8>,
}

impl Read for Pipe<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.input.is_empty() { Err(io::ErrorKind::WouldBlock.into()) } else { self.input.read(buffer) }
    }
}

impl Write for Pipe<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
