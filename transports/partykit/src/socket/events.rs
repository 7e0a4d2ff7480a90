//! Who hears of what happens.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use futures_core::Stream;
use roommate::Error;
use tokio::sync::mpsc;

use crate::proto::socket::SocketEvent;

/// How many events may be under way between the network and the subscribers.
pub(super) const IN_FLIGHT: usize = 16;

/// How many events a subscriber may lag behind before it slows the socket.
const LAG: usize = 64;

/// A stream of what happens to a [`PartySocket`](crate::PartySocket).
///
/// See [`PartySocket::events`](crate::PartySocket::events).
#[derive(Debug)]
pub struct SocketEvents(mpsc::Receiver<SocketEvent>);

impl SocketEvents {
    /// Waits for the next event; `None` when the socket is gone.
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

/// Something to tell.
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
    /// What those who come later have to know first.
    standing: Option<SocketEvent>,
    ended: bool,
}

impl Subscribers {
    /// Adds a subscriber. `is_closed`: whether the socket, if it once gave up, has not been told to start over since.
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

    /// Takes note of an event, and says whom to tell. What comes to `subscribe` later counts on the note instead.
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

/// Passes every event to every subscriber, in order, until the socket is gone. Waits for those who lag.
pub(super) async fn dispatch(mut told: mpsc::Receiver<Told>, subscribers: Arc<Subscribers>) {
    while let Some(told) = told.recv().await {
        let senders = subscribers.note(&told);
        let event = match told {
            Told::Event(event) => event,
            Told::GaveUp(error) => SocketEvent::Error(error),
        };
        for sender in senders {
            // A subscriber that is gone misses nothing.
            let _ = sender.send(event.clone()).await;
        }
    }
    let mut list = subscribers.lock();
    *list = List { ended: true, ..List::default() };
}
