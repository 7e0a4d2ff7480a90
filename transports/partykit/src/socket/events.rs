//! The subscribers to a socket's events.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use futures_core::Stream;
use roommate::Error;
use tokio::sync::mpsc;

use crate::proto::socket::SocketEvent;

/// How many events may be queued between the network and the subscribers.
pub(super) const IN_FLIGHT: usize = 16;

/// How many unread events a subscriber may have before it slows the socket.
const LAG: usize = 64;

/// A stream of the events of a [`PartySocket`](crate::PartySocket).
///
/// See [`PartySocket::events`](crate::PartySocket::events).
#[derive(Debug)]
pub struct SocketEvents(mpsc::Receiver<SocketEvent>);

impl SocketEvents {
    /// Waits for the next event. Returns `None` when the socket is gone.
    pub async fn recv(&mut self) -> Option<SocketEvent> {
        self.0.recv().await
    }
}

impl Stream for SocketEvents {
    type Item = SocketEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<SocketEvent>> {
        self.0.poll_recv(context)
    }
}

/// An item for the subscribers.
#[derive(Debug)]
pub(super) enum Told {
    Event(SocketEvent),
    /// The socket has given up, for this reason.
    GaveUp(Error),
}

#[derive(Debug, Default)]
pub(super) struct Subscribers(Mutex<List>);

#[derive(Debug, Default)]
struct List {
    senders: Vec<mpsc::Sender<SocketEvent>>,
    /// The event that later subscribers receive first.
    standing: Option<SocketEvent>,
    ended: bool,
}

impl Subscribers {
    /// Adds a subscriber. `is_closed` is whether the socket is closed: if it is not, an earlier failure has been
    /// followed by a new start.
    pub(super) fn subscribe(&self, is_closed: bool) -> SocketEvents {
        let (sender, receiver) = mpsc::channel(LAG);
        let mut list = self.lock();
        let standing = list.standing.as_ref().filter(|event| is_closed || !matches!(event, SocketEvent::Error(_)));
        if let Some(event) = standing {
            sender.try_send(event.clone()).expect("a new channel has room, and its receiver is here");
        }
        if !list.ended {
            list.senders.push(sender);
        }
        SocketEvents(receiver)
    }

    /// Records an event, and returns the subscribers to send it to. Later calls of `subscribe` rely on the record
    /// instead.
    fn note(&self, told: &Told) -> Vec<mpsc::Sender<SocketEvent>> {
        let mut list = self.lock();
        match told {
            Told::Event(event @ SocketEvent::Open { .. }) => list.standing = Some(event.clone()),
            Told::Event(SocketEvent::Close { .. }) => list.standing = None,
            Told::Event(_) => {}
            Told::GaveUp(error) => list.standing = Some(SocketEvent::Error(error.clone())),
        }
        list.senders.retain(|sender| !sender.is_closed());
        list.senders.clone()
    }

    fn lock(&self) -> MutexGuard<'_, List> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Passes every event to every subscriber, in order, until the socket is gone. Waits for slow subscribers.
pub(super) async fn dispatch(mut told: mpsc::Receiver<Told>, subscribers: Arc<Subscribers>) {
    while let Some(told) = told.recv().await {
        let senders = subscribers.note(&told);
        let event = match told {
            Told::Event(event) => event,
            Told::GaveUp(error) => SocketEvent::Error(error),
        };
        for sender in senders {
            // A subscriber that is gone misses no event.
            let _ = sender.send(event.clone()).await;
        }
    }
    let mut list = subscribers.lock();
    *list = List { ended: true, ..List::default() };
}
