//! Listeners and streams for an engine's status and for refusals.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::Pin,
    sync::{Arc, PoisonError, Weak},
    task::{Context, Poll, Waker},
};

use futures_core::Stream;

use crate::{
    subscription::Subscription,
    sync::{Mutex, MutexGuard},
};

/// How many events are queued for a slow reader of a stream. Beyond that, the oldest are dropped.
const STREAM_CAPACITY: usize = 256;

type Listener<T> = Arc<dyn Fn(&T) + Send + Sync>;

/// Sends events to callbacks and to streams.
pub(super) struct Listeners<T>(Arc<Mutex<Inner<T>>>);

struct Inner<T> {
    next: u64,
    listeners: Vec<(u64, Listener<T>)>,
    streams: Vec<Weak<Mutex<Buffer<T>>>>,
}

struct Buffer<T> {
    events: VecDeque<T>,
    waker: Option<Waker>,
    ended: bool,
}

/// A stream of events. A reader that lags by more than 256 events loses the oldest. The stream ends with the engine.
#[derive(Debug)]
pub struct Events<T>(Arc<Mutex<Buffer<T>>>);

impl<T: Clone + Send + 'static> Listeners<T> {
    pub(super) fn add(&self, listener: impl Fn(&T) + Send + Sync + 'static) -> Subscription {
        let mut inner = lock(&self.0);
        let id = inner.next;
        inner.next += 1;
        inner.listeners.push((id, Arc::new(listener)));
        let listeners = Arc::downgrade(&self.0);
        Subscription::new(move || {
            if let Some(inner) = listeners.upgrade() {
                lock(&inner).listeners.retain(|(other, _)| *other != id);
            }
        })
    }

    pub(super) fn stream(&self) -> Events<T> {
        let buffer = Arc::new(Mutex::new(Buffer { events: VecDeque::new(), waker: None, ended: false }));
        lock(&self.0).streams.push(Arc::downgrade(&buffer));
        Events(buffer)
    }

    /// Sends an event. Listeners are called with no lock held: they may add and end subscriptions.
    ///
    /// If a listener panics, the others still receive the event, and then this function panics.
    pub(super) fn tell(&self, event: &T) {
        let listeners: Vec<_> = {
            let mut inner = lock(&self.0);
            inner.streams.retain(|stream| {
                let Some(stream) = stream.upgrade() else { return false };
                let mut buffer = lock(&stream);
                if buffer.events.len() == STREAM_CAPACITY {
                    buffer.events.pop_front();
                }
                buffer.events.push_back(event.clone());
                buffer.waker.take().into_iter().for_each(Waker::wake);
                true
            });
            inner.listeners.iter().map(|(_, listener)| listener.clone()).collect()
        };
        let mut panic = None;
        for listener in listeners {
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| listener(event))) {
                panic = Some(payload);
            }
        }
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }

    /// Ends the streams.
    pub(super) fn end(&self) {
        for stream in lock(&self.0).streams.drain(..).filter_map(|stream| stream.upgrade()) {
            let mut buffer = lock(&stream);
            buffer.ended = true;
            buffer.waker.take().into_iter().for_each(Waker::wake);
        }
    }
}

impl<T> Default for Listeners<T> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Inner { next: 0, listeners: Vec::new(), streams: Vec::new() })))
    }
}

impl<T> Stream for Events<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let mut buffer = lock(&self.0);
        if let Some(event) = buffer.events.pop_front() {
            return Poll::Ready(Some(event));
        }
        if buffer.ended {
            return Poll::Ready(None);
        }
        buffer.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> std::fmt::Debug for Buffer<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Buffer").field("events", &self.events.len()).field("ended", &self.ended).finish()
    }
}
