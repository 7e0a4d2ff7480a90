//! [`PartySocket`] on tokio and tungstenite.

mod connect;
mod connection;
mod events;
mod metered;
#[cfg(any(test, not(feature = "tls")))]
mod no_tls;
mod run;
mod shared;
#[cfg(feature = "tls")]
mod tls;

use std::{fmt, sync::Arc};

use bytes::Bytes;
use roommate::{Error, ErrorKind, Result};
use tokio::{sync::mpsc, time::Instant};

pub use self::events::SocketEvents;
#[cfg(not(feature = "tls"))]
use self::no_tls as tls;
use self::{events::Subscribers, run::Task, shared::Shared};
pub(crate) use self::{shared::random_id, tls::for_http};
use crate::proto::socket::{Goodbye, Message, PartySocketOptions, ReadyState, SendOutcome};

/// A WebSocket to a PartyKit room that reconnects by itself: partysocket's `PartySocket`.
///
/// It connects as soon as it is created (unless it starts closed) and again after each loss, with growing delays, until
/// it is closed, gives up (see `max_retries` and `max_refusals`), or its last clone is dropped.
///
/// It differs from partysocket as follows:
/// * Nothing is dropped silently. [`send`](Self::send) returns whether the message was handed on or queued, or fails.
/// * A connection that breaks without a close frame is reported with its own code (1006) and with an error that gives
///   the cause. HTTP 401, 403 and 404 are not retried for ever. A heartbeat detects a server that is gone without a
///   close frame.
/// * Options that direct the socket to another room take effect at once
///   ([`update_properties`](Self::update_properties)), so that the socket and its HTTP requests always address the same
///   room.
///
/// No WebSocket can promise delivery: a message that was handed to an open connection is lost when the connection
/// breaks before the message arrives. An application that needs delivery stores messages until the server confirms
/// them, and sends with [`try_send_open`](Self::try_send_open).
///
/// Clones share one connection. Dropping the last clone closes it, after the queued messages are written. The runtime
/// does that in the background: a program that is about to end calls [`close`](Self::close) and awaits
/// [`closed`](Self::closed) first.
///
/// ```no_run
/// use futures_util::StreamExt;
/// use roommate_partykit::{PartySocket, PartySocketOptions, SocketEvent};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), roommate::Error> {
/// let socket = PartySocket::new(PartySocketOptions::new("localhost:1999", "my_room"))?;
/// let mut events = socket.events();
/// socket.send("hello")?;
/// while let Some(event) = events.next().await {
///     if let SocketEvent::Message(message) = event {
///         println!("{message:?}");
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PartySocket(Arc<Handle>);

/// Ends the socket when its last clone is dropped.
struct Handle {
    shared: Arc<Shared>,
    subscribers: Arc<Subscribers>,
}

impl PartySocket {
    /// Creates a socket on the current tokio runtime.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for invalid options, [`ErrorKind::Unsupported`] outside of a tokio runtime, and for a
    /// host that needs TLS in a build without the feature `tls`.
    pub fn new(options: PartySocketOptions) -> Result<Self> {
        options.validate()?;
        tls::check(&options)?;
        let runtime = tokio::runtime::Handle::try_current().map_err(|error| {
            let message = "a PartySocket needs a tokio runtime with I/O and time: make it inside of one";
            Error::with_source(ErrorKind::Unsupported, message, error)
        })?;
        let shared = Arc::new(Shared::new(options)?);
        let subscribers = Arc::new(Subscribers::default());
        let (events, told) = mpsc::channel(events::IN_FLIGHT);
        runtime.spawn(events::dispatch(told, subscribers.clone()));
        runtime.spawn(run::run(Task { shared: shared.clone(), events }));
        Ok(Self(Arc::new(Handle { shared, subscribers })))
    }

    /// Sends a message: at once if the socket is open, else once it opens.
    ///
    /// Never blocks. Messages are written in the order in which they were sent, and queued messages survive a
    /// reconnection. Messages that an open socket cannot write fast enough are queued as well, within the same limits.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when `max_enqueued_messages` or `max_enqueued_bytes` are queued already,
    /// [`ErrorKind::Invalid`] when the message is larger than `max_message_size`, [`ErrorKind::Closed`] when the socket
    /// is closing or closed. In each case the message is not queued.
    pub fn send(&self, message: impl Into<Message>) -> Result<SendOutcome> {
        self.0.shared.send(message.into())
    }

    /// Sends a message on one given connection or not at all: for protocols that store unconfirmed messages themselves.
    ///
    /// Never blocks. If this returns `Ok`, the message is written on connection `epoch`, or lost with that connection,
    /// whose [`Close`](crate::SocketEvent::Close) event reports the loss. The message is never sent on a later
    /// connection.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`] when connection `epoch` is not open (any more); otherwise as [`send`](Self::send).
    pub fn try_send_open(&self, message: impl Into<Message>, epoch: u64) -> Result<()> {
        self.0.shared.try_send_open(message.into(), epoch)
    }

    /// Pings the server on one connection, after everything that was sent on it.
    ///
    /// Never blocks. A [`Pong`](crate::SocketEvent::Pong) event reports the response, or the connection's
    /// [`Close`](crate::SocketEvent::Close) event reports that there is none. A pong proves that everything sent before
    /// the ping has arrived, and that everything the server had sent by then has been delivered as events.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a payload that is empty or longer than 125 bytes; otherwise as
    /// [`try_send_open`](Self::try_send_open).
    pub fn ping(&self, payload: impl Into<Bytes>, epoch: u64) -> Result<()> {
        self.0.shared.ping(payload.into(), epoch)
    }

    /// Waits until connection `epoch` accepts another message; returns `false` once that connection has ended.
    pub async fn writable(&self, epoch: u64) -> bool {
        self.0.shared.writable(epoch).await
    }

    /// When connection `epoch` last received bytes of a message that was still incomplete: a large message that takes a
    /// while to arrive is not an event yet.
    pub(crate) fn last_arrival(&self, epoch: u64) -> Option<Instant> {
        self.0.shared.last_arrival(epoch)
    }

    /// Returns a stream of all events from now on.
    ///
    /// If the socket is open already, the first event is [`Open`](crate::SocketEvent::Open); if it has given up, the
    /// first event is the error that ended it. Dropping the stream ends the subscription. The stream ends when the last
    /// clone of the socket is dropped.
    ///
    /// Each stream buffers a few messages. A stream that is not read slows the socket and all other streams: the socket
    /// stops reading from the network, so that nothing is lost and memory stays bounded. (A server whose pings are not
    /// answered in the meantime may close the connection.)
    #[must_use = "a subscription ends when it is dropped"]
    pub fn events(&self) -> SocketEvents {
        self.0.subscribers.subscribe(self.ready_state() == ReadyState::Closed)
    }

    /// Returns the state of the socket.
    pub fn ready_state(&self) -> ReadyState {
        self.0.shared.lock().ready_state
    }

    /// Returns the number of the open connection, or of the last one that was open; 0 before the first.
    pub fn epoch(&self) -> u64 {
        self.0.shared.lock().epoch
    }

    /// Returns the id by which the server knows the connection, `_pk` on the wire.
    pub fn id(&self) -> String {
        self.0.shared.lock().id.clone()
    }

    /// Returns the current options.
    pub fn options(&self) -> Arc<PartySocketOptions> {
        self.0.shared.lock().options.clone()
    }

    /// Returns the number of attempts after the first, since the last connection that lasted for `min_uptime`.
    pub fn retry_count(&self) -> u32 {
        self.0.shared.retry_count()
    }

    /// Returns the number of bytes of queued messages.
    pub fn buffered_amount(&self) -> usize {
        self.0.shared.lock().outgoing.bytes()
    }

    /// Removes all queued messages from the queue and returns them, oldest first.
    pub fn drain_queued_messages(&self) -> Vec<Message> {
        self.0.shared.drain()
    }

    /// Closes the socket permanently, unless [`reconnect`](Self::reconnect) is called.
    ///
    /// An open socket writes its queued messages, sends a close frame, and waits up to `connection_timeout` for the
    /// server's close frame. A socket that is not open stops trying, and its queue can then be drained.
    /// [`closed`](Self::closed) waits until that is done.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a code other than 1000 and 3000 to 4999, or a reason of more than 123 bytes.
    pub fn close(&self, code: u16, reason: &str) -> Result<()> {
        if code != 1000 && !(3000..=4999).contains(&code) {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!("a close code must be 1000 or 3000 to 4999, not {code}"),
            ));
        }
        if reason.len() > 123 {
            return Err(Error::new(ErrorKind::Invalid, "a close reason must be at most 123 bytes long"));
        }
        self.0.shared.close(Goodbye { code, reason: reason.to_owned() });
        Ok(())
    }

    /// Waits until the socket is closed: by [`close`](Self::close), or because it gave up.
    pub async fn closed(&self) {
        self.0.shared.closed().await;
    }

    /// Opens a new connection at once, also after the socket was closed or gave up. Resets the delays and the count of
    /// refusals.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when the options still name no room, [`ErrorKind::Closed`] when the runtime on which the
    /// socket was created is gone.
    pub fn reconnect(&self) -> Result<()> {
        self.0.shared.reconnect()
    }

    /// Changes options: `change` receives the current options and returns the new ones. `change` is called again if
    /// another caller changed the options in the meantime.
    ///
    /// Options that `change` does not set stay as they are. If the new options name another room (or another id), the
    /// socket connects there at once, unless it is closed. Other options apply from the next attempt on.
    ///
    /// ```no_run
    /// # fn f(socket: &roommate_partykit::PartySocket) -> Result<(), roommate::Error> {
    /// socket.update_properties(|options| options.with_room("another_room"))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for invalid options, or when messages for the current room are still queued and the new
    /// options name another room: [`drain_queued_messages`](Self::drain_queued_messages) removes them. The options then
    /// stay as they were.
    pub fn update_properties(&self, change: impl Fn(PartySocketOptions) -> PartySocketOptions) -> Result<()> {
        self.0.shared.update(change)
    }
}

impl fmt::Debug for PartySocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.shared.lock();
        f.debug_struct("PartySocket")
            .field("ready_state", &state.ready_state)
            .field("epoch", &state.epoch)
            .field("id", &state.id)
            .field("options", &state.options)
            .finish_non_exhaustive()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.abandon();
    }
}

#[cfg(test)]
mod tests;
