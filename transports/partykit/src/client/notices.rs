//! The stream of one watch.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_core::Stream;
use roommate::{Notice, Result};

use super::{closed, shared::Shared, watch::Watch};
use crate::{proto::Listening, socket::PartySocket};

/// What the room tells, until it is dropped. Dropping it closes the listening connection.
#[derive(Debug)]
pub(super) struct Notices {
    shared: Arc<Shared>,
    id: u64,
}

impl Notices {
    /// Begins to listen, in place of whoever listened before.
    pub(super) fn begin(shared: Arc<Shared>, listening: Listening, ear: Option<PartySocket>) -> Self {
        let id = shared.begin_watch(listening, ear);
        Self { shared, id }
    }

    /// Whether everything that it listens to is open; why it never will be.
    pub(super) fn is_ready(&self) -> Result<bool> {
        self.shared.peek(|state| {
            state.check()?;
            let is_ready = state.is_ready();
            match &mut state.watch {
                Some(Watch { id, failure, is_read, .. }) if *id == self.id => match failure {
                    Some(error) => Err(error.clone()),
                    None => {
                        *is_read |= is_ready;
                        Ok(is_ready)
                    }
                },
                _ => Err(closed()),
            }
        })
    }
}

impl Stream for Notices {
    type Item = Result<Notice>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let (item, relieves) = self.shared.peek(|state| {
            let Some(watch) = state.watch.as_mut().filter(|watch| watch.id == self.id) else {
                return (Poll::Ready(None), false);
            };
            let was_full = watch.notices.is_full();
            if let Some(notice) = watch.notices.pop() {
                return (Poll::Ready(Some(notice)), was_full);
            }
            match watch.failure.take() {
                // It stays until the stream is dropped, so that nothing is sent as if nobody had ever listened.
                Some(error) => {
                    watch.is_over = true;
                    (Poll::Ready(Some(Err(error))), false)
                }
                None if watch.is_over => (Poll::Ready(None), false),
                None => {
                    watch.reader = Some(context.waker().clone());
                    (Poll::Pending, false)
                }
            }
        });
        if let Poll::Ready(Some(Ok(Notice::Confirmed { receipt, refused }))) = &item
            && !refused.is_empty()
        {
            self.shared.with(|state, _| state.session.taken(*receipt));
        } else if relieves {
            // A save may wait for that.
            self.shared.tell_news();
        }
        item
    }
}

impl Drop for Notices {
    fn drop(&mut self) {
        self.shared.with(|state, now| state.end_watch(self.id, now));
    }
}
