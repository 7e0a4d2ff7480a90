//! One WebSocket connection. A sender writes to the socket directly, and queues only what the socket does not accept.
//!
//! A [`Connection`] is shared by its room, which sends, and by the task that [serves](serve()) it. The task reads,
//! continues writing when a full socket has space again, and closes. Both hold the lock only while they poll the
//! socket.

use std::{
    fmt,
    future::poll_fn,
    io::{self, IoSlice},
    mem,
    ops::Range,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
};

use axum::body::Bytes;
use roommate_partykit_proto::ConnectionId;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use crate::fanout::{Notice, Notices};

pub(crate) mod frame;
mod queue;
mod reader;
mod serve;
#[cfg(test)]
pub(crate) mod testing;

use frame::Frames;
pub(crate) use queue::Bounds;
use queue::{Queue, SLICES};
pub(crate) use reader::{Arrival, Reader};
pub(crate) use serve::{GONE, serve};

/// The stream that a connection reads from and writes to.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// The part of a connection that its room and its task share.
pub(crate) struct Connection {
    id: ConnectionId,
    bounds: Bounds,
    state: Mutex<State>,
}

struct State {
    /// `None` before [`Connection::attach`] and after [`Connection::end`].
    io: Option<Box<dyn Io>>,
    /// Wakes the connection's task. `None` until the task has been polled; until then every frame is queued.
    waker: Option<Waker>,
    queue: Queue,
    flow: Flow,
    /// The socket was full.
    blocked: bool,
    /// The socket has become full, or was full and has accepted more: the other end is alive, or gets new time to show
    /// it.
    took: bool,
    /// The socket may still buffer data that it has accepted.
    unflushed: bool,
    /// When the last bytes arrived.
    received: Instant,
    /// The code and reason with which the room wants the connection closed.
    close: Option<CloseFrame>,
    notices: Option<Arc<Notices>>,
}

/// Whether the room's frames are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Open,
    /// A frame did not fit into the queue. It and all that follow are dropped until [`Connection::resume`].
    Behind,
    /// As [`Flow::Behind`], but what was queued has been written, and the room has been notified of that.
    CaughtUp,
    /// No frame is sent any more.
    Closed,
    /// The socket is broken.
    Broken,
}

/// What the connection's task has to do.
#[derive(Debug)]
pub(crate) enum Work {
    /// Close, as the room wants it.
    Close(CloseFrame),
    /// Stop: the socket is broken.
    Broken,
}

impl Connection {
    /// Creates a connection whose handshake is not complete. Frames that are sent before [`Connection::attach`] are
    /// queued.
    pub(crate) fn new(id: ConnectionId, bounds: Bounds) -> Arc<Self> {
        let state = State {
            io: None,
            waker: None,
            queue: Queue::default(),
            flow: Flow::Open,
            blocked: false,
            took: false,
            unflushed: false,
            received: Instant::now(),
            close: None,
            notices: None,
        };
        Arc::new(Self { id, bounds, state: Mutex::new(state) })
    }

    pub(crate) fn id(&self) -> ConnectionId {
        self.id
    }

    /// Sets the queue of notices in which the connection notifies its room that it is behind, and that it has caught
    /// up.
    pub(crate) fn notify(&self, notices: Arc<Notices>) {
        self.state().notices = Some(notices);
    }

    /// Sends frames: writes what the socket accepts, and queues the rest.
    ///
    /// A frame that does not fit into the queue, and all that follow until [`Connection::resume`], are dropped. The room is
    /// notified.
    pub(crate) fn send(&self, frames: &Frames, range: Range<usize>) {
        let mut state = self.state();
        if state.flow == Flow::Open && !state.send(frames, range, self.bounds) {
            state.flow = Flow::Behind;
            state.notice(Notice::Behind(self.id));
        }
    }

    /// Sends control frames, or drops them if they do not fit into the queue.
    pub(crate) fn send_or_drop(&self, frames: &Frames) {
        let mut state = self.state();
        if matches!(state.flow, Flow::Open | Flow::Behind | Flow::CaughtUp) {
            state.send(frames, 0..frames.len(), self.bounds);
        }
    }

    /// Sends the room's frames again after the connection was behind.
    pub(crate) fn resume(&self) {
        let mut state = self.state();
        if matches!(state.flow, Flow::Behind | Flow::CaughtUp) {
            state.flow = Flow::Open;
        }
    }

    /// Closes the connection. Frames that are still queued are dropped. Only the first call has an effect.
    pub(crate) fn close(&self, frame: CloseFrame) {
        let mut state = self.state();
        if matches!(state.flow, Flow::Open | Flow::Behind | Flow::CaughtUp) {
            state.flow = Flow::Closed;
            state.close = Some(frame);
            state.wake();
        }
    }

    /// Begins to read from and write to a socket.
    pub(crate) fn attach(&self, io: Box<dyn Io>) {
        let mut state = self.state();
        state.io = Some(io);
        state.received = Instant::now();
    }

    /// Writes queued frames when the socket accepts them. Returns when the task has something else to do.
    ///
    /// From the first poll on, senders wake the task that polled last.
    pub(crate) async fn work(&self) -> Work {
        poll_fn(|context| {
            let mut state = self.state();
            state.register(context);
            if let Some(close) = state.close.take() {
                return Poll::Ready(Work::Close(close));
            }
            match state.poll_drain(context) {
                _ if state.flow == Flow::Broken => return Poll::Ready(Work::Broken),
                Poll::Ready(Err(_)) => return Poll::Ready(Work::Broken),
                Poll::Ready(Ok(())) if state.flow == Flow::Behind => {
                    state.flow = Flow::CaughtUp;
                    state.notice(Notice::CaughtUp(self.id));
                }
                _ => {}
            }
            Poll::Pending
        })
        .await
    }

    /// Drops every queued frame that is not partly written, and sends `last` as the last frame.
    pub(crate) fn finish(&self, last: impl Into<Bytes>) {
        let mut state = self.state();
        state.flow = Flow::Closed;
        state.queue.finish(last.into());
    }

    /// Returns when everything that is queued has been written.
    pub(crate) async fn drained(&self) -> io::Result<()> {
        poll_fn(|context| {
            let mut state = self.state();
            state.register(context);
            state.poll_drain(context)
        })
        .await
    }

    /// Drops the socket and the queued frames.
    pub(crate) fn end(&self) {
        let mut state = self.state();
        state.flow = Flow::Closed;
        state.queue = Queue::default();
        (state.waker, state.notices) = (None, None);
        // Closing a socket takes a while, and a sender need not wait for it.
        let io = state.io.take();
        drop(state);
        drop(io);
    }

    /// Reads from the socket. Zero bytes mean the end.
    fn poll_read(&self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state();
        let Some(io) = &mut state.io else { return Poll::Ready(Ok(())) };
        ready!(Pin::new(io).poll_read(context, buffer))?;
        state.received = Instant::now();
        Poll::Ready(Ok(()))
    }

    /// When bytes last arrived.
    fn received(&self) -> Instant {
        self.state().received
    }

    /// Whether the socket has become full, or has accepted more while it was full, since the last call.
    fn took(&self) -> bool {
        mem::take(&mut self.state().took)
    }

    fn is_idle(&self) -> bool {
        self.state().queue.is_empty()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Returns `false` if not all frames fit into the queue.
    fn send(&mut self, frames: &Frames, range: Range<usize>, bounds: Bounds) -> bool {
        let mut taken = 0;
        if self.queue.is_empty() && self.waker.is_some() {
            match self.write(frames, &range) {
                Ok(count) if count == frames.size_of(&range) => return true,
                Ok(count) => taken = count,
                Err(_) => {
                    self.flow = Flow::Broken;
                    self.wake();
                    return true;
                }
            }
        }
        self.queue.push(frames, range, taken, bounds)
    }

    /// Writes until the socket is full, and has its task woken when it has space again. Returns how many bytes it
    /// accepted.
    fn write(&mut self, frames: &Frames, range: &Range<usize>) -> io::Result<usize> {
        let (Some(io), Some(waker)) = (&mut self.io, &self.waker) else { return Ok(0) };
        let mut context = Context::from_waker(waker);
        let mut taken = 0;
        while taken < frames.size_of(range) {
            let written = match frames.rest(range, taken) {
                (all, []) => Pin::new(&mut *io).poll_write(&mut context, all),
                (header, payload) => {
                    let slices = [IoSlice::new(header), IoSlice::new(payload)];
                    Pin::new(&mut *io).poll_write_vectored(&mut context, &slices)
                }
            };
            match written {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => taken += count,
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => {
                    self.took |= !mem::replace(&mut self.blocked, true);
                    return Ok(taken);
                }
            }
        }
        match Pin::new(io).poll_flush(&mut context) {
            Poll::Ready(flushed) => flushed?,
            Poll::Pending => self.unflushed = true,
        }
        Ok(taken)
    }

    /// Writes what is queued.
    fn poll_drain(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { io: Some(io), queue, blocked, took, unflushed, .. } = self else { return Poll::Ready(Ok(())) };
        while !queue.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let count = queue.slices(&mut slices);
            let Poll::Ready(taken) = Pin::new(&mut *io).poll_write_vectored(context, &slices[..count]) else {
                *took |= !mem::replace(blocked, true);
                return Poll::Pending;
            };
            let taken = taken?;
            if taken == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            *took |= mem::take(blocked);
            *unflushed = true;
            queue.advance(taken);
        }
        if *unflushed {
            ready!(Pin::new(io).poll_flush(context))?;
            *unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// From now on, senders wake the task of this context.
    fn register(&mut self, context: &Context<'_>) {
        if self.waker.as_ref().is_none_or(|waker| !waker.will_wake(context.waker())) {
            self.waker = Some(context.waker().clone());
        }
    }

    fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }

    fn notice(&self, notice: Notice) {
        if let Some(notices) = &self.notices {
            notices.push(notice);
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
