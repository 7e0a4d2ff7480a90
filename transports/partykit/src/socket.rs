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

/// A WebSocket to a PartyKit room that connects again by itself: partysocket's `PartySocket`.
///
/// It connects as soon as it is made (unless it starts closed) and after each loss, with growing waits, until it is
/// closed, gives up (see `max_retries` and `max_refusals`), or its last clone is dropped.
///
/// What differs from partysocket, and why:
/// * Nothing is dropped silently. [`send`](Self::send) says whether a message was handed on or queued, or fails.
/// * A connection that just broke is told with its own code (1006) and with an error that says why. HTTP 401, 403 and 404
///   are not retried for ever. A heartbeat finds out when the server is gone without a goodbye.
/// * Options that lead elsewhere take effect at once ([`update_properties`](Self::update_properties)), so that the socket and
///   HTTP requests beside it never speak to different rooms.
///
/// What no WebSocket can promise: a message that was handed to an open connection is lost when the connection breaks before
/// the message arrives. Whoever must know keeps messages until the server confirms them, and sends with
/// [`try_send_open`](Self::try_send_open).
///
/// Clones share one connection. Dropping the last one closes it, after what waits is written. That happens on the runtime: a
/// program that ends at once calls [`close`](Self::close) and awaits [`closed`](Self::closed) first.
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

/// Ends the socket when the last clone goes.
struct Handle {
    shared: Arc<Shared>,
    subscribers: Arc<Subscribers>,
}

impl PartySocket {
    /// A socket on the current tokio runtime.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for options that cannot be taken, [`ErrorKind::Unsupported`] outside of a tokio runtime, and for a host
    /// that needs TLS in a build without the feature `tls`.
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

    /// Sends a message: now if the socket is open, else once it is.
    ///
    /// Never blocks. Messages go out in the order in which they were sent, and those that wait outlive a reconnection. What
    /// an open socket cannot write as fast as it is sent waits as well, within the same bounds.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when `max_enqueued_messages` or `max_enqueued_bytes` already wait,
    /// [`ErrorKind::Invalid`] when the message is larger than `max_message_size`, [`ErrorKind::Closed`] when the socket is
    /// closing or closed. In each case the message was not taken.
    pub fn send(&self, message: impl Into<Message>) -> Result<SendOutcome> {
        self.0.shared.send(message.into())
    }

    /// Sends a message on one connection or not at all: for protocols that keep what is unconfirmed themselves.
    ///
    /// Never blocks. Once taken, the message is written on connection `epoch`, or lost with it, which that connection's
    /// [`Close`](crate::SocketEvent::Close) tells; it never goes out on a later one.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`] when connection `epoch` is not open (any more); otherwise as [`send`](Self::send).
    pub fn try_send_open(&self, message: impl Into<Message>, epoch: u64) -> Result<()> {
        self.0.shared.try_send_open(message.into(), epoch)
    }

    /// Pings the server on one connection, behind everything that was sent on it.
    ///
    /// Never blocks. [`Pong`](crate::SocketEvent::Pong) tells the answer, or that connection's
    /// [`Close`](crate::SocketEvent::Close) that there is none. It proves that what was sent before has arrived, and that
    /// what the server had sent by then has been told.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a payload that is empty or longer than 125 bytes; otherwise as
    /// [`try_send_open`](Self::try_send_open).
    pub fn ping(&self, payload: impl Into<Bytes>, epoch: u64) -> Result<()> {
        self.0.shared.ping(payload.into(), epoch)
    }

    /// Waits until connection `epoch` could take another message; `false` once it is over.
    pub async fn writable(&self, epoch: u64) -> bool {
        self.0.shared.writable(epoch).await
    }

    /// When the last bytes came on connection `epoch` of a message that was not whole with them: a large one that takes a
    /// while is not yet an event.
    pub(crate) fn last_arrival(&self, epoch: u64) -> Option<Instant> {
        self.0.shared.last_arrival(epoch)
    }

    /// A stream of everything that happens from now on.
    ///
    /// If the socket is open already, the first event says so; if it has given up, the first event is why. Dropping the stream
    /// ends the subscription. The stream ends when the last clone of the socket is dropped.
    ///
    /// Each stream buffers a few messages. One that is not read slows the socket and all other streams: the socket stops reading
    /// from the network, so that nothing is lost and nothing piles up. (A server whose pings are not answered meanwhile may
    /// hang up.)
    #[must_use = "a subscription ends when it is dropped"]
    pub fn events(&self) -> SocketEvents {
        self.0.subscribers.subscribe(self.ready_state() == ReadyState::Closed)
    }

    /// What the socket is doing.
    pub fn ready_state(&self) -> ReadyState {
        self.0.shared.lock().ready_state
    }

    /// The number of the connection that is open or was the last to be: 0 before the first.
    pub fn epoch(&self) -> u64 {
        self.0.shared.lock().epoch
    }

    /// The id that the server knows the connection by, `_pk` on the wire.
    pub fn id(&self) -> String {
        self.0.shared.lock().id.clone()
    }

    /// The options as they are now.
    pub fn options(&self) -> Arc<PartySocketOptions> {
        self.0.shared.lock().options.clone()
    }

    /// How many attempts followed the first, since the last connection that lasted for `min_uptime`.
    pub fn retry_count(&self) -> u32 {
        self.0.shared.retry_count()
    }

    /// How many bytes of messages wait to be written.
    pub fn buffered_amount(&self) -> usize {
        self.0.shared.lock().outgoing.bytes()
    }

    /// Takes back all messages that wait to be sent, oldest first.
    pub fn drain_queued_messages(&self) -> Vec<Message> {
        self.0.shared.drain()
    }

    /// Closes the socket, for good unless [`reconnect`](Self::reconnect) is called.
    ///
    /// An open socket writes what waits, tells the server, and waits up to `connection_timeout` for its goodbye. One that is
    /// not open stops trying; what waits then can be drained. [`closed`](Self::closed) waits until that is done.
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

    /// Connects anew and at once, also after the socket was closed or gave up. Waits and refusals are counted from zero.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when the options still name no room, [`ErrorKind::Closed`] when the runtime on which the socket was
    /// made is gone.
    pub fn reconnect(&self) -> Result<()> {
        self.0.shared.reconnect()
    }

    /// Changes options: `change` gets the present ones and returns the new ones. It is called again when somebody else
    /// changed them meanwhile.
    ///
    /// What `change` does not touch stays, whatever was changed before. If the socket leads to another room (or has another
    /// id) afterwards, it connects there at once, unless it is closed; other options count from the next attempt on.
    ///
    /// ```no_run
    /// # fn f(socket: &roommate_partykit::PartySocket) -> Result<(), roommate::Error> {
    /// socket.update_properties(|options| options.with_room("another_room"))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for options that cannot be taken, or when messages for the room that would be left still wait:
    /// [`drain_queued_messages`](Self::drain_queued_messages) takes them back. The options then stay as they were.
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
