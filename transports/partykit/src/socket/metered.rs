//! A stream that informs the heartbeat when bytes pass.

use std::{
    future::pending,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::Notify,
    time::Instant,
};

use crate::proto::socket::{Arrival, Beat, Heartbeat, Pulse};

/// The pulse of one connection, shared by its reader, its writer and its heartbeat.
#[derive(Debug)]
pub(super) struct Vitals {
    began: Instant,
    pulse: Mutex<Pulse>,
    arrival: Mutex<Arrival>,
    /// Notified when a ping is due.
    pub(super) ping: Notify,
}

impl Vitals {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            pulse: Mutex::default(),
            arrival: Mutex::default(),
            ping: Notify::new(),
        })
    }

    pub(super) fn heard(&self) {
        self.with(Pulse::heard);
    }

    /// Records that the last bytes read completed a message.
    pub(super) fn is_whole(&self) {
        self.arrival().is_whole();
    }

    /// When bytes of an incomplete message were last received.
    pub(super) fn last_arrival(&self) -> Option<Instant> {
        self.arrival().last().and_then(|last| self.began.checked_add(last))
    }

    pub(super) fn deafened(&self) {
        self.with(|pulse, _| pulse.deafened());
    }

    pub(super) fn pinged(&self) {
        self.with(Pulse::pinged);
    }

    pub(super) fn ping_is_due(&self) -> bool {
        self.with(|pulse, _| pulse.ping_is_due())
    }

    /// Requests a ping whenever one is due, until the peer is dead. Returns for how long nothing was received.
    pub(super) async fn watch(&self, heartbeat: Heartbeat) -> Duration {
        loop {
            match self.with(|pulse, now| pulse.beat(heartbeat, now)) {
                Beat::Wait(until) => match self.began.checked_add(until) {
                    Some(until) => tokio::time::sleep_until(until).await,
                    // The moment is beyond the clock's range.
                    None => pending().await,
                },
                Beat::Ping => {
                    self.with(Pulse::ping);
                    self.ping.notify_one();
                }
                Beat::Dead(silence) => return silence,
            }
        }
    }

    fn came(&self) {
        self.heard();
        self.arrival().came(self.began.elapsed());
    }

    fn arrival(&self) -> MutexGuard<'_, Arrival> {
        self.arrival.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Pulse, Duration) -> T) -> T {
        act(&mut self.pulse.lock().unwrap_or_else(PoisonError::into_inner), self.began.elapsed())
    }
}

#[derive(Debug)]
pub(super) struct Metered<S> {
    stream: S,
    vitals: Arc<Vitals>,
}

impl<S> Metered<S> {
    pub(super) fn new(stream: S, vitals: Arc<Vitals>) -> Self {
        Self { stream, vitals }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let poll = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.vitals.came();
        }
        poll
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if matches!(poll, Poll::Ready(Ok(1..))) {
            self.vitals.with(Pulse::wrote);
        }
        poll
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
