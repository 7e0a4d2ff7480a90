//! A client with the calls that are waiting on it.

use std::{
    collections::HashMap,
    mem,
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures_channel::oneshot;
use roommate::{Changes, EditKey, Notice, Receipt, Result, Saved};

use crate::{RoomClient, Ticket, WatchId, closed};

/// A client, and the tasks that wait for changes of its state.
#[derive(Debug)]
pub struct Hosted {
    /// The client.
    pub client: RoomClient,
    /// The calls that are waiting for a save to be handed over.
    handing: HashMap<Receipt, oneshot::Sender<Result<()>>>,
    reader: Option<(WatchId, Waker)>,
    waiting: Vec<Waker>,
}

/// A save that has begun.
#[derive(Debug)]
pub(super) enum Begun {
    /// A notice reports the outcome.
    Later(Receipt),
    Handing(oneshot::Receiver<Result<()>>),
}

impl Hosted {
    /// Creates a hosted client without waiting calls.
    pub fn new(client: RoomClient) -> Self {
        Self { client, handing: HashMap::new(), reader: None, waiting: Vec::new() }
    }

    /// Begins a save of changes; `None` if the queue is full for now.
    pub(super) fn save(
        &mut self,
        changes: &Changes,
        edit: Option<EditKey<'_>>,
        now: Duration,
    ) -> Result<Option<Begun>> {
        Ok(self.client.save(changes, edit, now)?.map(|ticket| match ticket {
            Ticket::Confirmed(receipt) => Begun::Later(receipt),
            Ticket::Handed(receipt) => {
                let (handed, handing) = oneshot::channel();
                self.handing.insert(receipt, handed);
                Begun::Handing(handing)
            }
        }))
    }

    /// Carries out a [`RoomClientOutput::Handed`](crate::RoomClientOutput::Handed).
    pub fn handed(&mut self, receipt: Receipt, outcome: Result<()>) {
        // The call may have been dropped.
        let _ = self.handing.remove(&receipt).map(|handing| handing.send(outcome));
    }

    /// Polls for the next notice of a watch, like a stream.
    pub(super) fn poll_notice(&mut self, watch: WatchId, context: &Context<'_>) -> Poll<Option<Result<Notice>>> {
        let notice = self.client.next_notice(watch);
        if notice.is_pending() {
            self.reader = Some((watch, context.waker().clone()));
        }
        notice
    }

    /// Wakes a task after the next change of the client.
    pub(super) fn wait(&mut self, waker: &Waker) {
        if !self.waiting.iter().any(|waiting| waiting.will_wake(waker)) {
            self.waiting.push(waker.clone());
        }
    }

    /// Takes the tasks to wake after a change. The caller must wake them without a lock.
    pub fn take_wakes(&mut self) -> Vec<Waker> {
        let mut wakes = mem::take(&mut self.waiting);
        let reader = self.reader.take_if(|(watch, _)| self.client.is_readable(*watch));
        wakes.extend(reader.map(|(_, waker)| waker));
        wakes
    }
}

impl Begun {
    /// Resolves when the save is complete, or when only a notice will report its outcome.
    pub(super) async fn saved(self) -> Result<Saved> {
        match self {
            Self::Later(receipt) => Ok(Saved::Later(receipt)),
            Self::Handing(handing) => {
                handing.await.map_err(|_| closed())??;
                Ok(Saved::Done)
            }
        }
    }
}
