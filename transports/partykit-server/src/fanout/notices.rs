//! The notices that connections send to their room.

use std::{
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

use roommate_partykit_proto::ConnectionId;
use tokio::sync::Notify;

/// What happened to a connection's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// A frame did not fit. It and all later frames are dropped, until the room resumes the connection.
    Behind(ConnectionId),
    /// The queued frames have been written.
    CaughtUp(ConnectionId),
}

/// The notices of a room's connections, in order. There are at most two for each connection: that it is behind, and
/// that it has caught up. No other notice follows before the room resumes the connection.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    list: Mutex<Vec<Notice>>,
    arrived: Notify,
}

impl Notices {
    pub(crate) fn push(&self, notice: Notice) {
        self.list().push(notice);
        self.arrived.notify_one();
    }

    /// Removes all of them.
    pub(crate) fn take(&self) -> Vec<Notice> {
        mem::take(&mut *self.list())
    }

    /// Returns when there may be notices.
    pub(crate) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    fn list(&self) -> MutexGuard<'_, Vec<Notice>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
