//! One WebSocket connection: a bounded queue out, and every message in.

use std::{
    future::{pending, poll_fn},
    mem,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{self, Poll},
    time::Duration,
};

use axum::{
    body::Bytes,
    extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket},
};
use futures_util::{
    SinkExt, StreamExt,
    stream::{FuturesUnordered, SplitSink, SplitStream},
};
use roommate_partykit::proto::TOO_BIG;
use tokio::{
    sync::{Notify, mpsc, oneshot},
    time::{Instant, MissedTickBehavior, interval_at, timeout},
};
use tokio_tungstenite::tungstenite;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::{config::ServerConfig, host::Command, rooms::Membership};

/// What a room sends on a connection.
#[derive(Clone, Debug)]
pub(crate) enum Frame {
    Text(Utf8Bytes),
    /// A ping, and what its pong will tell the room.
    Ping(u64),
}

/// The room's end of a connection's queue.
#[derive(Debug)]
pub(crate) struct Outbox {
    frames: mpsc::Sender<Frame>,
    queued_bytes: Arc<AtomicUsize>,
    max_queued_bytes: usize,
    /// A frame did not fit, so none that follows may be queued before the room begins anew.
    behind: bool,
    overflowed: Arc<Notify>,
    farewell: oneshot::Sender<CloseFrame>,
}

/// The connection's end of its queue.
#[derive(Debug)]
pub(crate) struct Mailbox {
    pub(crate) frames: mpsc::Receiver<Frame>,
    queued_bytes: Arc<AtomicUsize>,
    overflowed: Arc<Notify>,
    farewell: oneshot::Receiver<CloseFrame>,
}

/// What stands for a heartbeat of no time.
const SHORTEST: Duration = Duration::from_millis(1);
/// What stands for one that is longer: ten years.
const NEVER: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

const GOING_AWAY: CloseFrame = CloseFrame { code: 1001, reason: Utf8Bytes::from_static("the room is gone") };
const RESTARTING: CloseFrame = CloseFrame { code: 1012, reason: Utf8Bytes::from_static("the server is restarting") };
const MESSAGE_TOO_BIG: CloseFrame = CloseFrame { code: TOO_BIG, reason: Utf8Bytes::from_static("message too big") };
const SILENT: CloseFrame = CloseFrame { code: 1001, reason: Utf8Bytes::from_static("no answer to pings") };

/// Both ends of a queue as large as the server allows.
pub(crate) fn queue(config: &ServerConfig) -> (Outbox, Mailbox) {
    let (frames, queued_frames) = mpsc::channel(config.max_queued_frames);
    let (farewell, heard_farewell) = oneshot::channel();
    let queued_bytes = Arc::new(AtomicUsize::new(0));
    let overflowed = Arc::new(Notify::new());
    let outbox = Outbox {
        frames,
        queued_bytes: Arc::clone(&queued_bytes),
        max_queued_bytes: config.max_queued_bytes,
        behind: false,
        overflowed: Arc::clone(&overflowed),
        farewell,
    };
    (outbox, Mailbox { frames: queued_frames, queued_bytes, overflowed, farewell: heard_farewell })
}

impl Frame {
    /// How much of the queue it takes.
    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Ping(token) => size_of_val(token),
        }
    }
}

impl From<Frame> for Message {
    fn from(frame: Frame) -> Self {
        match frame {
            Frame::Text(text) => Self::Text(text),
            Frame::Ping(token) => Self::Ping(Bytes::copy_from_slice(&token.to_be_bytes())),
        }
    }
}

impl Outbox {
    /// Queues a frame, or says that there is no room for it: then none is taken until [`Outbox::resume`], and the room is
    /// asked to go on when everything queued is read. Whoever has gone needs none.
    pub(crate) fn push(&mut self, frame: Frame) -> bool {
        if self.behind {
            return true;
        }
        let bytes = frame.len();
        // Only this end adds, so what it reads can only have become less.
        let queued = self.queued_bytes.load(Ordering::Relaxed);
        if queued == 0 || queued.saturating_add(bytes) <= self.max_queued_bytes {
            self.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
            let Err(mpsc::error::TrySendError::Full(_)) = self.frames.try_send(frame) else { return true };
            self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        self.behind = true;
        self.overflowed.notify_one();
        false
    }

    /// Takes frames again.
    pub(crate) fn resume(&mut self) {
        self.behind = false;
    }

    /// Closes the connection, whatever is still queued.
    pub(crate) fn close(self, farewell: CloseFrame) {
        let _gone_already = self.farewell.send(farewell);
    }
}

/// Serves a connection until it ends, from either side.
pub(crate) async fn serve(
    socket: WebSocket,
    membership: Membership,
    mailbox: Mailbox,
    config: Arc<ServerConfig>,
    stop: CancellationToken,
) {
    let (mut sink, mut stream) = socket.split();
    let Mailbox { frames, queued_bytes, overflowed, farewell } = mailbox;
    let queue = Queue { frames, queued_bytes: &queued_bytes, overflowed: &overflowed };
    let takes = AtomicBool::new(false);
    // Reading and writing wait for different things, so neither may wait for the other.
    let farewell = tokio::select! {
        farewell = read(&mut stream, &membership, config.heartbeat, &takes) => farewell,
        () = write(&mut sink, queue, &membership, config.heartbeat, &takes) => None,
        farewell = farewell => Some(farewell.unwrap_or(GOING_AWAY)),
        () = stop.cancelled() => Some(RESTARTING),
    };
    // The room has no use for the connection any more; the farewell may take a while.
    drop(membership);
    let Some(farewell) = farewell else { return };
    debug!(code = farewell.code, reason = %farewell.reason, "closing");
    let _too_late = timeout(config.close_timeout, async {
        if sink.send(Message::Close(Some(farewell))).await.is_ok() {
            // Dropped with unread input, the socket would be reset, and the farewell perhaps never read.
            while let Some(Ok(_)) = stream.next().await {}
        }
    })
    .await;
}

/// Hands in what arrives, until nothing more does. Returns what to say in parting, if anything is to be said.
///
/// `takes` is set each time that the other end has taken more of what it is sent. That is a sign of life as well: what it
/// says, an answer to a ping too, may wait until it has read a content that takes a while to get through.
async fn read(
    stream: &mut SplitStream<WebSocket>,
    membership: &Membership,
    heartbeat: Duration,
    takes: &AtomicBool,
) -> Option<CloseFrame> {
    let connection = membership.connection();
    loop {
        match timeout(heartbeat.max(SHORTEST).saturating_mul(2), stream.next()).await {
            Err(_silent) if takes.swap(false, Ordering::Relaxed) => {}
            Err(_silent) => return Some(SILENT),
            Ok(None) => return None,
            Ok(Some(Err(error))) => return is_too_big(&error).then_some(MESSAGE_TOO_BIG),
            Ok(Some(Ok(Message::Text(text)))) => {
                if !membership.send(Command::Message { connection, text }).await {
                    return Some(GOING_AWAY);
                }
            }
            Ok(Some(Ok(Message::Pong(payload)))) => {
                // Those of the heartbeat are empty.
                if let Ok(token) = payload[..].try_into().map(u64::from_be_bytes)
                    && !membership.send(Command::Pong { connection, token }).await
                {
                    return Some(GOING_AWAY);
                }
            }
            // Binary frames are nobody's, pings are answered below, and a close is answered by reading on.
            Ok(Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Close(_)))) => {}
        }
    }
}

/// What there is to send.
#[derive(Debug)]
struct Queue<'a> {
    frames: mpsc::Receiver<Frame>,
    queued_bytes: &'a AtomicUsize,
    overflowed: &'a Notify,
}

/// Sends what is queued, and a ping every now and then, until the other end is gone.
async fn write(
    sink: &mut SplitSink<WebSocket, Message>,
    Queue { mut frames, queued_bytes, overflowed }: Queue<'_>,
    membership: &Membership,
    heartbeat: Duration,
    takes: &AtomicBool,
) {
    let interval = heartbeat.clamp(SHORTEST, NEVER);
    let mut pings = interval_at(Instant::now() + interval, interval);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let mut next = tokio::select! {
            // Pings before everything, and what is queued before it is told that nothing is.
            biased;
            _ = pings.tick() => Some((0, Message::Ping(Bytes::new()))),
            frame = frames.recv() => match frame {
                Some(frame) => Some((frame.len(), frame.into())),
                // The room let go of this connection, and says so by the farewell.
                None => return pending().await,
            },
            () = overflowed.notified() => {
                membership.send(Command::CaughtUp { connection: membership.connection() }).await;
                None
            }
        };
        // What has gathered meanwhile goes out at one stroke.
        while let Some((bytes, message)) = next {
            if until_taken(|context| sink.poll_ready_unpin(context), takes).await.is_err()
                || sink.start_send_unpin(message).is_err()
            {
                return;
            }
            queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            next = frames.try_recv().ok().map(|frame| (frame.len(), frame.into()));
        }
        if until_taken(|context| sink.poll_flush_unpin(context), takes).await.is_err() {
            return;
        }
    }
}

/// Goes on with what the network does not take at once, and sets `takes` each time that it takes more.
///
/// It takes more only when the other end has: what goes through at once may just fill a buffer.
async fn until_taken<T>(mut go_on: impl FnMut(&mut task::Context<'_>) -> Poll<T>, takes: &AtomicBool) -> T {
    if let Poll::Ready(done) = poll_fn(|context| Poll::Ready(go_on(context))).await {
        return done;
    }
    // In a group a future is polled for what wakes it, and here that is the network; the task is woken for more than that.
    let mut was_polled = false;
    let alone = poll_fn(|context| {
        if mem::replace(&mut was_polled, true) {
            takes.store(true, Ordering::Relaxed);
        }
        go_on(context)
    });
    match FuturesUnordered::from_iter([alone]).next().await {
        Some(done) => done,
        None => pending().await,
    }
}

fn is_too_big(error: &axum::Error) -> bool {
    let source = std::error::Error::source(error);
    let error = source.and_then(|source| source.downcast_ref::<tungstenite::Error>());
    matches!(error, Some(tungstenite::Error::Capacity(tungstenite::error::CapacityError::MessageTooLong { .. })))
}
