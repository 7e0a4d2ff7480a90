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
    socket::{Goodbye, Heartbeat, Message, Next, SocketEvent},
};

/// How a connection ended.
#[derive(Debug)]
pub(super) struct End {
    pub(super) goodbye: Goodbye,
    /// Whether both sides know: there was a goodbye and an answer.
    pub(super) is_clean: bool,
    pub(super) error: Option<Error>,
}

/// What a connection is made of.
#[derive(Debug)]
pub(super) struct Connection<'a> {
    pub(super) shared: &'a Shared,
    pub(super) turn: u64,
    pub(super) heartbeat: Option<Heartbeat>,
    pub(super) vitals: Arc<Vitals>,
    pub(super) events: &'a mpsc::Sender<Told>,
}

/// How long a peer that broke the connection, or said goodbye, may take to say the rest.
const LAST_WORDS: Duration = Duration::from_millis(500);

impl Connection<'_> {
    /// Runs the connection to its end.
    pub(super) async fn run(&self, socket: WebSocket) -> End {
        let end = self.first_end(socket).await;
        match self.shared.goodbye(self.turn) {
            // An end that was asked for is no failure, and has the code and reason that were asked for.
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
            // The goodbye is said: the answer is the reader's to hear.
            Ok(()) => select! {
                end = &mut reading => end,
                end = &mut watching => end,
                end = &mut running_out => end,
            },
            // Why the connection broke may stand in what was not read yet.
            Err(error) => match timeout(LAST_WORDS, reading).await {
                Ok(end) if end.is_clean => end,
                _ => broken(error),
            },
        }
    }

    async fn read(&self, mut stream: impl Stream<Item = tungstenite::Result<tungstenite::Message>> + Unpin) -> End {
        loop {
            // Room comes before reading: so nothing that was read is ever without a place.
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
                // The heartbeat's have no payload, and are heard by the meter beneath.
                Some(Ok(tungstenite::Message::Pong(payload))) if !payload.is_empty() => SocketEvent::Pong(payload),
                Some(Ok(tungstenite::Message::Close(frame))) => {
                    drop(room);
                    // Reading on is what sends the answer. A server that then does not hang up is hung up on.
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

    /// Writes what there is to write, until the goodbye is said.
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
                        // At least its last byte was not written, so that no peer has seen it.
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

    /// Waits until the goodbye takes too long.
    async fn running_out(&self) -> End {
        self.shared.turned(self.turn).await;
        sleep(self.shared.patience()).await;
        End::broken(Error::new(ErrorKind::Unavailable, "the server does not say goodbye"))
    }
}

impl End {
    fn broken(error: Error) -> Self {
        Self { goodbye: Goodbye { code: 1006, reason: String::new() }, is_clean: false, error: Some(error) }
    }
}

/// The end by a goodbye of the server.
fn said_goodbye(frame: Option<CloseFrame>) -> End {
    let (code, reason) = match frame {
        Some(frame) => (u16::from(frame.code), frame.reason.to_string()),
        // In the words of the WebSocket interface: no code was there.
        None => (1005, String::new()),
    };
    let error = (code == TOO_BIG).then(|| {
        let message = "the server closed the connection: a message was too large for it (1009); split such messages";
        Error::new(ErrorKind::Refused, message)
    });
    End { goodbye: Goodbye { code, reason }, is_clean: true, error }
}

/// The end by a failure of the connection.
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
