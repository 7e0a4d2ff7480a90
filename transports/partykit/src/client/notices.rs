//! The stream of one watch.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_core::Stream;
use roommate::{Notice, Result};

use super::shared::Shared;
use crate::{proto::WatchId, socket::PartySocket};

/// What the room tells, until it is dropped. Dropping it closes the listening connection.
#[derive(Debug)]
pub(super) struct Notices {
    shared: Arc<Shared>,
    id: WatchId,
}

impl Notices {
    /// Begins a watch, in place of the one before.
    pub(super) fn begin(shared: Arc<Shared>, ear: Option<PartySocket>) -> Self {
        let id = shared.with(|state, now| state.begin_watch(ear, now));
        Self { shared, id }
    }

    #[cfg(test)]
    pub(super) fn watch(&self) -> WatchId {
        self.id
    }

    /// Whether everything is open that it listens to; why it never will be.
    pub(super) fn is_ready(&self) -> Result<bool> {
        self.shared.peek(|state| {
            state.check()?;
            state.client.is_watch_ready(self.id)
        })
    }
}

impl Stream for Notices {
    type Item = Result<Notice>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let (notice, has_output) = self.shared.peek(|state| {
            let notice = state.client.next_notice(self.id);
            if notice.is_pending() {
                state.reader = Some((self.id, context.waker().clone()));
            }
            (notice, state.client.has_output())
        });
        if has_output {
            self.shared.with(|_, _| ());
        }
        notice
    }
}

impl Drop for Notices {
    fn drop(&mut self) {
        self.shared.with(|state, now| state.end_watch(self.id, now));
    }
}
