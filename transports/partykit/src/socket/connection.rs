//! One open connection: a reader, a writer and a heartbeat, until the first of them ends it.

use std::{future::pending, pin::pin, sync::Arc, time::Duration};

use futures_util::{Sink, SinkExt, Stream, StreamExt};
use roommate::{Error, ErrorKind};
use tokio::{
    select,
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_tungstenite::tungstenite::{
    self, Bytes, Utf8Bytes,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

use super::{connect::WebSocket, events::Told, metered::Vitals, shared::Shared};
use crate::proto::{
    TOO_BIG,
    socket::{ABNORMAL, Goodbye, Heartbeat, Message, Next, SocketEvent},
};

/// How a connection ended.
#[derive(Debug)]
pub(super) struct End {
    pub(super) goodbye: Goodbye,
    /// Whether the close handshake completed: both sides sent a close frame.
    pub(super) is_clean: bool,
    pub(super) error: Option<Error>,
}

/// The parts of an open connection.
#[derive(Debug)]
pub(super) struct Connection<'a> {
    pub(super) shared: &'a Shared,
    pub(super) turn: u64,
    pub(super) heartbeat: Option<Heartbeat>,
    pub(super) vitals: Arc<Vitals>,
    pub(super) events: &'a mpsc::Sender<Told>,
}

/// How long to wait for the remaining data of a peer that broke the connection or sent a close frame.
const LAST_WORDS: Duration = Duration::from_millis(500);

impl Connection<'_> {
    /// Runs the connection to its end.
    pub(super) async fn run(&self, socket: WebSocket) -> End {
        let end = self.first_end(socket).await;
        match self.shared.goodbye(self.turn) {
            // A requested end is not a failure, and has the requested code and reason.
            Some(goodbye) => End { goodbye, error: None, ..end },
            None => end,
        }
    }

    async fn first_end(&self, socket: WebSocket) -> End {
        let (sink, stream) = socket.split();
        let mut reading = pin!(self.read(stream));
        let mut writing = pin!(self.write(sink));
        let mut watching = pin!(self.watch());
        let mut running_out = pin!(self.running_out());
        let written = select! {
            end = &mut reading => return end,
            written = &mut writing => written,
            end = &mut watching => return end,
            end = &mut running_out => return end,
        };
        match written {
            // The close frame is sent. The reader receives the response.
            Ok(()) => select! {
                end = &mut reading => end,
                end = &mut watching => end,
                end = &mut running_out => end,
            },
            // The unread data may show why the connection broke.
            Err(error) => match timeout(LAST_WORDS, reading).await {
                Ok(end) if end.is_clean => end,
                _ => broken(error),
            },
        }
    }

    async fn read(&self, mut stream: impl Stream<Item = tungstenite::Result<tungstenite::Message>> + Unpin) -> End {
        loop {
            // The reader reserves room before it reads, so that every event it reads has room in the channel.
            let room = match self.events.try_reserve() {
                Ok(room) => room,
                Err(_) => {
                    self.vitals.deafened();
                    let Ok(room) = self.events.reserve().await else { return pending().await };
                    self.vitals.heard();
                    room
                }
            };
            let read = stream.next().await;
            self.vitals.is_whole();
            let event = match read {
                Some(Ok(tungstenite::Message::Text(text))) => SocketEvent::Message(Message::Text(text.as_str().into())),
                Some(Ok(tungstenite::Message::Binary(bytes))) => SocketEvent::Message(Message::Binary(bytes)),
                // The heartbeat's pongs have no payload, and the metered stream detects them.
                Some(Ok(tungstenite::Message::Pong(payload))) if !payload.is_empty() => SocketEvent::Pong(payload),
                Some(Ok(tungstenite::Message::Close(frame))) => {
                    drop(room);
                    // Reading on sends the response. If the server then does not close the connection, this side does.
                    let _ = timeout(LAST_WORDS, async { while let Some(Ok(_)) = stream.next().await {} }).await;
                    return said_goodbye(frame);
                }
                Some(Ok(_)) => continue,
                Some(Err(error)) => return broken(error),
                None => return broken(tungstenite::Error::ConnectionClosed),
            };
            room.send(Told::Event(event));
        }
    }

    /// Writes the queued messages, until the close frame is sent.
    async fn write(
        &self,
        mut sink: impl Sink<tungstenite::Message, Error = tungstenite::Error> + Unpin,
    ) -> tungstenite::Result<()> {
        loop {
            if self.vitals.ping_is_due() {
                sink.send(tungstenite::Message::Ping(Bytes::new())).await?;
                self.vitals.pinged();
            }
            match self.shared.next(self.turn) {
                Next::Message(waiting) => {
                    let frame = match &waiting.message {
                        Message::Binary(payload) if waiting.is_ping => tungstenite::Message::Ping(payload.clone()),
                        Message::Text(text) => tungstenite::Message::Text(Utf8Bytes::from(text.as_ref())),
                        Message::Binary(bytes) => tungstenite::Message::Binary(bytes.clone()),
                    };
                    if let Err(error) = sink.feed(frame).await {
                        // At least the last byte of the message was not written, so no peer has received it.
                        self.shared.put_back(waiting);
                        return Err(error);
                    }
                }
                Next::Nothing => {
                    sink.flush().await?;
                    select! {
                        () = self.shared.something_to_write(self.turn) => {}
                        () = self.vitals.ping.notified() => {}
                    }
                }
                Next::Goodbye(Goodbye { code, reason }) => {
                    let frame = CloseFrame { code: CloseCode::from(code), reason: reason.into() };
                    return sink.send(tungstenite::Message::Close(Some(frame))).await;
                }
            }
        }
    }

    /// Waits until the peer is dead.
    async fn watch(&self) -> End {
        let Some(heartbeat) = self.heartbeat else { return pending().await };
        let silence = self.vitals.watch(heartbeat).await;
        let message = format!("the server has not been heard of for {silence:?}, nor answers a ping");
        End::broken(Error::new(ErrorKind::Unavailable, message))
    }

    /// Waits until the close handshake takes too long.
    async fn running_out(&self) -> End {
        self.shared.turned(self.turn).await;
        sleep(self.shared.patience()).await;
        End::broken(Error::new(ErrorKind::Unavailable, "the server does not say goodbye"))
    }
}

impl End {
    fn broken(error: Error) -> Self {
        Self { goodbye: Goodbye { code: ABNORMAL, reason: String::new() }, is_clean: false, error: Some(error) }
    }
}

/// The end of a connection on which the server sent a close frame.
fn said_goodbye(frame: Option<CloseFrame>) -> End {
    let (code, reason) = match frame {
        Some(frame) => (u16::from(frame.code), frame.reason.to_string()),
        // The WebSocket interface uses this code when the close frame has none.
        None => (1005, String::new()),
    };
    let error = (code == TOO_BIG).then(|| {
        let message = "the server closed the connection: a message was too large for it (1009); split such messages";
        Error::new(ErrorKind::Refused, message)
    });
    End { goodbye: Goodbye { code, reason }, is_clean: true, error }
}

/// The end of a connection that failed.
fn broken(error: tungstenite::Error) -> End {
    let (kind, message) = match &error {
        tungstenite::Error::Capacity(_) => {
            (ErrorKind::Corrupt, format!("the server sent more than max_message_size allows: {error}"))
        }
        tungstenite::Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake)
        | tungstenite::Error::ConnectionClosed
        | tungstenite::Error::AlreadyClosed
        | tungstenite::Error::Io(_) => (ErrorKind::Unavailable, format!("the connection broke: {error}")),
        _ => (ErrorKind::Corrupt, format!("the server sent something that is no WebSocket message: {error}")),
    };
    End::broken(Error::with_source(kind, message, error))
}
